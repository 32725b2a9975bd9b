/* The limit of keeping what is read: standard input into one growing buffer, and nothing else.
 *
 * Most of its time is the kernel's, who gives it a gigabyte of fresh pages.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(void) {
    size_t room = 1 << 16, length = 0;
    char *buffer = malloc(room);
    for (;;) {
        if (buffer != NULL && length == room)
            buffer = realloc(buffer, room *= 2);
        if (buffer == NULL) {
            perror("capture_limit");
            return 1;
        }
        ssize_t count = read(STDIN_FILENO, buffer + length, room - length);
        if (count <= 0)
            return count < 0;
        length += count;
    }
}
