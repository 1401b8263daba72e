/*
 * A stand-in for libnvidia-ml.so.1: it answers the calls that orchestrate makes from the text file that the
 * environment variable NVML_STANDIN names, and fails like a real driver where that file says so.
 *
 * A line is `key value`. Keys: driver, cuda, count, process.<pid>, error.<function> (an NVML error number), and per
 * card gpu<i>.uuid, .name, .memory (total reserved free), .cc, .pcie (max and present generation, max and present
 * width), .bus, .mig, .compute and .graphics (pid:bytes ..., `-` for bytes that are not told), .nvlink<lane>
 * (state remote-type bus), .to<j> (topology level), .error.<function>; per MIG slice gpu<i>.slice<j>.<the same>.
 * What is not written is not supported. Each shutdown is noted in the file that NVML_STANDIN_JOURNAL names.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUCCESS 0
#define INVALID_ARGUMENT 2
#define NOT_SUPPORTED 3
#define NOT_FOUND 6
#define INSUFFICIENT_SIZE 7
#define ARGUMENT_VERSION_MISMATCH 25
#define MEMORY_V2 0x02000028u
#define NOT_AVAILABLE (~0ull)
#define MOST_DEVICES 256

typedef struct { char prefix[48]; int card; } device;
typedef struct { unsigned long long total, free, used; } memory_v1;
typedef struct { unsigned int version; unsigned long long total, reserved, free, used; } memory_v2;
typedef struct {
    char legacy_bus_id[16];
    unsigned int domain, bus, device, device_id, subsystem_id;
    char bus_id[32];
} pci_info;
typedef struct { unsigned int pid; unsigned long long used; unsigned int gpu_instance, compute_instance; } process_info;

static device devices[MOST_DEVICES];
static int devices_used;

/* The value of a key, or NULL. */
static const char *look(const char *key)
{
    static char line[4096];
    const char *path = getenv("NVML_STANDIN");
    FILE *file = path ? fopen(path, "r") : NULL;
    size_t length = strlen(key);
    const char *found = NULL;
    if (!file)
        return NULL;
    while (!found && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, key, length) == 0 && line[length] == ' ')
            found = line + length + 1;
    }
    fclose(file);
    return found;
}

static const char *look_at(const device *of, const char *what)
{
    char key[128];
    snprintf(key, sizeof key, "%s.%s", of->prefix, what);
    return look(key);
}

/* The error that the file wants from this function, for all devices or for one. */
static int failure(const char *function, const device *of)
{
    char key[160];
    const char *value;
    snprintf(key, sizeof key, "error.%s", function);
    value = look(key);
    if (!value && of)
        value = look_at(of, key);
    return value ? atoi(value) : SUCCESS;
}

#define FAIL_AS_TOLD(of) do { int told = failure(__func__, of); if (told) return told; } while (0)

static int copy(const char *value, char *buffer, unsigned int size)
{
    if (!value)
        return NOT_SUPPORTED;
    if (strlen(value) >= size)
        return INSUFFICIENT_SIZE;
    strcpy(buffer, value);
    return SUCCESS;
}

static device *device_called(const char *prefix, int card)
{
    for (int i = 0; i < devices_used; i++)
        if (strcmp(devices[i].prefix, prefix) == 0)
            return &devices[i];
    if (devices_used == MOST_DEVICES)
        return NULL;
    strcpy(devices[devices_used].prefix, prefix);
    devices[devices_used].card = card;
    return &devices[devices_used++];
}

int nvmlInitWithFlags(unsigned int flags) { (void)flags; FAIL_AS_TOLD(NULL); return SUCCESS; }

int nvmlShutdown(void)
{
    const char *path = getenv("NVML_STANDIN_JOURNAL");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (file) {
        fputs("shutdown\n", file);
        fclose(file);
    }
    FAIL_AS_TOLD(NULL);
    return SUCCESS;
}

const char *nvmlErrorString(int error) { return error == 42 ? "the answer is unknown" : "an error"; }

int nvmlSystemGetDriverVersion(char *buffer, unsigned int size)
{
    FAIL_AS_TOLD(NULL);
    return copy(look("driver"), buffer, size);
}

static int cuda_version(int *version)
{
    const char *value = look("cuda");
    *version = value ? atoi(value) : 0;
    return value ? SUCCESS : NOT_SUPPORTED;
}

int nvmlSystemGetCudaDriverVersion_v2(int *version) { FAIL_AS_TOLD(NULL); return cuda_version(version); }
int nvmlSystemGetCudaDriverVersion(int *version) { FAIL_AS_TOLD(NULL); return cuda_version(version); }

int nvmlSystemGetProcessName(unsigned int pid, char *buffer, unsigned int size)
{
    char key[32];
    const char *value;
    FAIL_AS_TOLD(NULL);
    snprintf(key, sizeof key, "process.%u", pid);
    value = look(key);
    return value ? copy(value, buffer, size) : NOT_FOUND;
}

int nvmlDeviceGetCount_v2(unsigned int *count)
{
    const char *value;
    FAIL_AS_TOLD(NULL);
    value = look("count");
    *count = value ? (unsigned int)atoi(value) : 0;
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, device **handle)
{
    char prefix[48];
    snprintf(prefix, sizeof prefix, "gpu%u", index);
    *handle = device_called(prefix, (int)index);
    if (!*handle)
        return INVALID_ARGUMENT;
    FAIL_AS_TOLD(*handle);
    return SUCCESS;
}

int nvmlDeviceGetUUID(device *of, char *buffer, unsigned int size)
{
    FAIL_AS_TOLD(of);
    return copy(look_at(of, "uuid"), buffer, size);
}

int nvmlDeviceGetName(device *of, char *buffer, unsigned int size)
{
    FAIL_AS_TOLD(of);
    return copy(look_at(of, "name"), buffer, size);
}

static int read_memory(device *of, unsigned long long *total, unsigned long long *reserved, unsigned long long *free)
{
    const char *value = look_at(of, "memory");
    return value && sscanf(value, "%llu %llu %llu", total, reserved, free) == 3 ? SUCCESS : NOT_SUPPORTED;
}

int nvmlDeviceGetMemoryInfo_v2(device *of, memory_v2 *answer)
{
    int status;
    FAIL_AS_TOLD(of);
    if (answer->version != MEMORY_V2)
        return ARGUMENT_VERSION_MISMATCH;
    status = read_memory(of, &answer->total, &answer->reserved, &answer->free);
    if (status == SUCCESS)
        answer->used = answer->total - answer->reserved - answer->free;
    return status;
}

int nvmlDeviceGetMemoryInfo(device *of, memory_v1 *answer)
{
    unsigned long long reserved;
    int status;
    FAIL_AS_TOLD(of);
    status = read_memory(of, &answer->total, &reserved, &answer->free);
    if (status == SUCCESS)
        answer->used = answer->total - answer->free;
    return status;
}

int nvmlDeviceGetCudaComputeCapability(device *of, int *major, int *minor)
{
    const char *value;
    FAIL_AS_TOLD(of);
    value = look_at(of, "cc");
    return value && sscanf(value, "%d %d", major, minor) == 2 ? SUCCESS : NOT_SUPPORTED;
}

int nvmlDeviceGetPciInfo_v3(device *of, pci_info *answer)
{
    FAIL_AS_TOLD(of);
    memset(answer, 0, sizeof *answer);
    return copy(look_at(of, "bus"), answer->bus_id, sizeof answer->bus_id);
}

static int read_pcie(device *of, int position, unsigned int *answer)
{
    unsigned int numbers[4];
    const char *value = look_at(of, "pcie");
    if (!value || sscanf(value, "%u %u %u %u", &numbers[0], &numbers[1], &numbers[2], &numbers[3]) != 4)
        return NOT_SUPPORTED;
    *answer = numbers[position];
    return SUCCESS;
}

int nvmlDeviceGetMaxPcieLinkGeneration(device *of, unsigned int *answer) { FAIL_AS_TOLD(of); return read_pcie(of, 0, answer); }
int nvmlDeviceGetCurrPcieLinkGeneration(device *of, unsigned int *answer) { FAIL_AS_TOLD(of); return read_pcie(of, 1, answer); }
int nvmlDeviceGetMaxPcieLinkWidth(device *of, unsigned int *answer) { FAIL_AS_TOLD(of); return read_pcie(of, 2, answer); }
int nvmlDeviceGetCurrPcieLinkWidth(device *of, unsigned int *answer) { FAIL_AS_TOLD(of); return read_pcie(of, 3, answer); }

/* As NVML does it: without room, only the number and INSUFFICIENT_SIZE; without processes, success at once. */
static int list_processes(device *of, const char *which, unsigned int *count, process_info *answer)
{
    char text[4096] = "", *rest = text, *word;
    const char *value = look_at(of, which);
    unsigned int room = *count, found = 0;
    if (value)
        snprintf(text, sizeof text, "%s", value);
    while ((word = strtok_r(rest, " ", &rest))) {
        if (answer && found < room) {
            char *size = strchr(word, ':') + 1;
            answer[found].pid = (unsigned int)atoi(word);
            answer[found].used = *size == '-' ? NOT_AVAILABLE : strtoull(size, NULL, 10);
        }
        found++;
    }
    *count = found;
    return found > room ? INSUFFICIENT_SIZE : SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(device *of, unsigned int *count, process_info *answer)
{
    FAIL_AS_TOLD(of);
    return list_processes(of, "compute", count, answer);
}

int nvmlDeviceGetComputeRunningProcesses_v2(device *of, unsigned int *count, process_info *answer)
{
    FAIL_AS_TOLD(of);
    return list_processes(of, "compute", count, answer);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(device *of, unsigned int *count, process_info *answer)
{
    FAIL_AS_TOLD(of);
    return list_processes(of, "graphics", count, answer);
}

int nvmlDeviceGetGraphicsRunningProcesses_v2(device *of, unsigned int *count, process_info *answer)
{
    FAIL_AS_TOLD(of);
    return list_processes(of, "graphics", count, answer);
}

int nvmlDeviceGetMigMode(device *of, unsigned int *current, unsigned int *pending)
{
    const char *value;
    FAIL_AS_TOLD(of);
    value = look_at(of, "mig");
    if (!value)
        return NOT_SUPPORTED;
    *current = *pending = (unsigned int)atoi(value);
    return SUCCESS;
}

int nvmlDeviceGetMaxMigDeviceCount(device *of, unsigned int *count)
{
    FAIL_AS_TOLD(of);
    *count = 7;
    return SUCCESS;
}

int nvmlDeviceGetMigDeviceHandleByIndex(device *of, unsigned int index, device **handle)
{
    char prefix[48];
    device *slice;
    FAIL_AS_TOLD(of);
    snprintf(prefix, sizeof prefix, "gpu%d.slice%u", of->card, index);
    slice = device_called(prefix, of->card);
    if (!slice || !look_at(slice, "uuid"))
        return NOT_FOUND;
    *handle = slice;
    return SUCCESS;
}

static int read_lane(device *of, unsigned int lane, unsigned int *state, unsigned int *type, char *bus)
{
    char what[16];
    const char *value;
    snprintf(what, sizeof what, "nvlink%u", lane);
    value = look_at(of, what);
    return value && sscanf(value, "%u %u %31s", state, type, bus) == 3 ? SUCCESS : NOT_SUPPORTED;
}

int nvmlDeviceGetNvLinkState(device *of, unsigned int lane, unsigned int *state)
{
    char bus[32];
    unsigned int type;
    FAIL_AS_TOLD(of);
    return read_lane(of, lane, state, &type, bus);
}

int nvmlDeviceGetNvLinkRemoteDeviceType(device *of, unsigned int lane, unsigned int *type)
{
    char bus[32];
    unsigned int state;
    FAIL_AS_TOLD(of);
    return read_lane(of, lane, &state, type, bus);
}

int nvmlDeviceGetNvLinkRemotePciInfo_v2(device *of, unsigned int lane, pci_info *answer)
{
    unsigned int state, type;
    FAIL_AS_TOLD(of);
    memset(answer, 0, sizeof *answer);
    return read_lane(of, lane, &state, &type, answer->bus_id);
}

int nvmlDeviceGetTopologyCommonAncestor(device *one, device *other, unsigned int *level)
{
    char what[16];
    const char *value;
    FAIL_AS_TOLD(one);
    snprintf(what, sizeof what, "to%d", other->card);
    value = look_at(one, what);
    *level = value ? (unsigned int)atoi(value) : 0;
    return value ? SUCCESS : NOT_SUPPORTED;
}
