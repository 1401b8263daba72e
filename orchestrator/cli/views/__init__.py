"""Turns values into what a person, a program or an editor reads. Views decide nothing."""
