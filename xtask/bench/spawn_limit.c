/* The limit of starting processes: posix_spawn and waitpid, and nothing else.
 *
 *     spawn_limit COUNT IN_FLIGHT PROGRAM [ARGUMENT…]
 *
 * Runs PROGRAM COUNT times, IN_FLIGHT at once, its three standard streams inherited, and reads nothing of what it says.
 * Exits with status 1 when one of them fails. Whatever does more than this takes longer, and `cargo xtask bench` says
 * by how much.
 */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

static int start(char **argv) {
    pid_t pid;
    int error = posix_spawn(&pid, argv[0], NULL, NULL, argv, environ);
    if (error != 0)
        fprintf(stderr, "spawn_limit: cannot start %s: %s\n", argv[0], strerror(error));
    return error == 0;
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: spawn_limit COUNT IN_FLIGHT PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    long to_start = atol(argv[1]), window = atol(argv[2]), running = 0;
    int failed = 0;
    while (to_start > 0 || running > 0) {
        while (to_start > 0 && running < window) {
            if (!start(argv + 3))
                return 1;
            to_start--;
            running++;
        }
        int status;
        if (waitpid(-1, &status, 0) > 0) {
            running--;
            failed |= status != 0;
        }
    }
    return failed;
}
