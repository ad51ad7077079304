/* What reading costs at the least: the files of a list, read and parsed once for each line of standard input. They are
 * kept open as far as the limit of descriptors allows; the rest is opened each time.
 *
 *     reader LIST   then "read" for a round over all files; "walk DIRECTORY" to find all directories below one;
 *                 "mark" for callgrind, which looks at that call
 *
 * Writes the nanoseconds that a round took. Files that are not there are left out, as topcon leaves them out. Parsing is
 * that of every number in a file: nothing is skipped, compared with what was before, or kept for later.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MOST_BYTES = 16384, MOST_NUMBERS = 256, MOST_PATH = 4096, SPARE_DESCRIPTORS = 16 };

struct file {
    int fd;
    char *path;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static size_t parse(const char *text, ssize_t length, uint64_t *numbers)
{
    size_t count = 0;
    for (ssize_t at = 0; at < length && count < MOST_NUMBERS;) {
        if (text[at] < '0' || text[at] > '9') {
            at++;
            continue;
        }
        uint64_t number = 0;
        while (at < length && text[at] >= '0' && text[at] <= '9')
            number = number * 10 + (uint64_t)(text[at++] - '0');
        numbers[count++] = number;
    }
    return count;
}

static size_t walk(int parent, const char *name)
{
    size_t found = 1;
    struct stat status;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    /* Two links: no directories inside. */
    if (fstat(fd, &status) == 0 && status.st_nlink != 2) {
        DIR *directory = fdopendir(dup(fd));
        for (struct dirent *entry; directory && (entry = readdir(directory));)
            if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
                found += walk(fd, entry->d_name);
        if (directory)
            closedir(directory);
    }
    close(fd);
    return found;
}

static struct file *list;
static size_t files;
static uint64_t sum;

static void read_all(void)
{
    static char text[MOST_BYTES];
    static uint64_t numbers[MOST_NUMBERS];

    for (size_t at = 0; at < files; at++) {
        int fd = list[at].path ? open(list[at].path, O_RDONLY | O_CLOEXEC) : list[at].fd;
        ssize_t length = pread(fd, text, sizeof text, 0);
        if (list[at].path)
            close(fd);
        for (size_t count = parse(text, length, numbers); count;)
            sum += numbers[--count];
    }
}

int main(int argc, char **argv)
{
    char line[MOST_PATH];
    size_t room = 1024;
    FILE *names = argc == 2 ? fopen(argv[1], "r") : NULL;
    struct rlimit limit;

    list = malloc(room * sizeof *list);
    if (!names || !list) {
        fprintf(stderr, "usage: reader LIST\n");
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    while (fgets(line, sizeof line, names)) {
        line[strcspn(line, "\n")] = 0;
        int fd = open(line, O_RDONLY | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
            continue;
        if (fd < 0) {
            perror(line);
            return 1;
        }
        if (files + SPARE_DESCRIPTORS >= limit.rlim_max) {
            close(fd);
            fd = -1;
        }
        if (files == room)
            list = realloc(list, (room *= 2) * sizeof *list);
        list[files++] = (struct file){fd, fd < 0 ? strdup(line) : NULL};
    }
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        uint64_t begun = now_ns();
        if (strncmp(line, "walk ", 5) == 0) {
            sum += walk(AT_FDCWD, line + 5);
        } else if (strcmp(line, "mark") == 0) {
            getpriority(PRIO_PROCESS, 0);
        } else {
            read_all();
        }
        printf("%llu %zu %llu\n", (unsigned long long)(now_ns() - begun), files, (unsigned long long)sum);
        fflush(stdout);
    }
    return 0;
}
