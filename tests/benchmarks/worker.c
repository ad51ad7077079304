/* Live processes, one in each cgroup of a list: idle until they are told to run for a moment.
 *
 *     worker LIST   a line of LIST is a process: the files cgroup.procs, parted by blanks, that it enters
 *
 * Writes the pids, one a line, and "ready". Then "run N MICROSECONDS" on standard input lets each of N processes,
 * another N each time, use a CPU for so long and touch a page of memory; "done" is written when all are idle again.
 * At the end of its input it ends, and all of them with it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_LINE = 65536, MOST_PAGES = 64, PAGE = 4096 };

struct shared {
    atomic_uint done;
    atomic_uint usec;
};

static uint64_t now_usec(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

static void enter(char *files)
{
    for (char *file = strtok(files, " "); file; file = strtok(NULL, " ")) {
        int fd = open(file, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, "0", 1) != 1) {
            perror(file);
            _exit(1);
        }
        close(fd);
    }
}

static void work(struct shared *shared)
{
    sigset_t wanted;
    int number, pages = 0;
    char *memory = mmap(NULL, MOST_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    sigemptyset(&wanted);
    sigaddset(&wanted, SIGUSR1);
    for (;;) {
        sigwait(&wanted, &number);
        uint64_t until = now_usec() + atomic_load(&shared->usec);
        if (pages == MOST_PAGES) {
            madvise(memory, MOST_PAGES * PAGE, MADV_DONTNEED);
            pages = 0;
        }
        memory[PAGE * pages++] = 1;
        while (now_usec() < until)
            ;
        atomic_fetch_add(&shared->done, 1);
    }
}

int main(int argc, char **argv)
{
    static char line[MOST_LINE];
    size_t count = 0, room = 1024, next = 0;
    pid_t *pids = malloc(room * sizeof *pids), parent = getpid();
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    FILE *list = argc == 2 ? fopen(argv[1], "r") : NULL;
    sigset_t blocked;

    if (!list || !pids || shared == MAP_FAILED) {
        fprintf(stderr, "usage: worker LIST\n");
        return 2;
    }
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    while (fgets(line, sizeof line, list)) {
        line[strcspn(line, "\n")] = 0;
        pid_t pid = fork();
        if (pid < 0) {
            perror("fork");
            return 1;
        }
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != parent)
                _exit(1);
            enter(line);
            atomic_fetch_add(&shared->done, 1);
            work(shared);
        }
        if (count == room)
            pids = realloc(pids, (room *= 2) * sizeof *pids);
        pids[count++] = pid;
    }
    while (atomic_load(&shared->done) < count) {
        if (waitpid(-1, NULL, WNOHANG) > 0) {
            fprintf(stderr, "a process could not enter its cgroup\n");
            return 1;
        }
        usleep(1000);
    }
    for (size_t at = 0; at < count; at++)
        printf("%d\n", pids[at]);
    printf("ready\n");
    fflush(stdout);
    for (unsigned wanted, usec; scanf(" run %u %u", &wanted, &usec) == 2;) {
        atomic_store(&shared->done, 0);
        atomic_store(&shared->usec, usec);
        for (unsigned at = 0; at < wanted && at < count; at++)
            kill(pids[next++ % count], SIGUSR1);
        while (atomic_load(&shared->done) < wanted && atomic_load(&shared->done) < count)
            usleep(200);
        printf("done\n");
        fflush(stdout);
    }
    return 0;
}
