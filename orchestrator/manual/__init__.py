"""What the findings of this house mean, for people: codes, reasons, examples. Text only; whoever prints it is above."""
