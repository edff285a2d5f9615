/* SPDX-License-Identifier: MIT */
/* main() for a fuzz target without a fuzzer: feeds it each file of the folders
 * named, once, so that every `make test` replays corpora and past crashes. A
 * folder that does not exist is empty. */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1024 * 1024 };

/* False when the file cannot be read, or is none. */
static bool replay_file(int folder, const char *name)
{
    const int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > INPUT_MAX) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    uint8_t *bytes = malloc((size_t)st.st_size + 1);
    const ssize_t len = bytes ? read(fd, bytes, (size_t)st.st_size) : -1;
    close(fd);
    if (len == st.st_size)
        LLVMFuzzerTestOneInput(bytes, (size_t)len);
    free(bytes);
    return len == st.st_size;
}

static unsigned replay_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder)
        return 0;
    unsigned count = 0;
    for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        if (entry->d_name[0] == '.')
            continue;
        printf("%s/%s\n", path, entry->d_name);
        fflush(stdout); /* the last line names the culprit of a crash */
        if (replay_file(dirfd(folder), entry->d_name))
            count++;
    }
    closedir(folder);
    return count;
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    for (int i = 1; i < argc; i++)
        count += replay_folder(argv[i]);
    printf("%u inputs\n", count);
    return count > 0 ? 0 : 1; /* no corpus: nothing was tested */
}
