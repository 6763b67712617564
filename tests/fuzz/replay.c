/* The main() of a fuzz target where it is not linked with libFuzzer: gives it each file of its
 * corpus. fuzz-NAME takes $srcdir/tests/fuzz/corpus/NAME, or the directories given. */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(1);
    }
    size_t length = (size_t)ftell(file);
    rewind(file);
    /* Exactly as long as the file, so that a read past its end is noticed. */
    uint8_t *bytes = malloc(length);
    if ((length && !bytes) || fread(bytes, 1, length, file) != length) {
        perror(path);
        exit(1);
    }
    fclose(file);
    printf("%s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(bytes, length);
    free(bytes);
    return 1;
}

static int replay_directory(const char *path)
{
    int count = 0;
    DIR *directory = opendir(path);
    if (!directory) {
        perror(path);
        exit(1);
    }
    for (struct dirent *entry; (entry = readdir(directory));) {
        char file[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        count += replay_file(file);
    }
    closedir(directory);
    return count;
}

int main(int argument_count, char **arguments)
{
    int count = 0;
    if (argument_count > 1) {
        for (int i = 1; i < argument_count; i++)
            count += replay_directory(arguments[i]);
    } else {
        const char *source = getenv("srcdir");
        const char *name = strrchr(arguments[0], '-');
        char path[4096];
        if (!name) {
            fprintf(stderr, "usage: %s DIRECTORY...\n", arguments[0]);
            return 2;
        }
        snprintf(path, sizeof path, "%s/tests/fuzz/corpus/%s", source ? source : ".", name + 1);
        count = replay_directory(path);
    }
    printf("%d inputs replayed\n", count);
    return count > 0 ? 0 : 1;
}
