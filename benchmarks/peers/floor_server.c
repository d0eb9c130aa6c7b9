/* The floor: what the kernel alone costs. This server parses nothing. It knows the handshake of the
   load generator and the size of its frames, and answers each with the same reply. */
#define _GNU_SOURCE /* accept4 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define HANDSHAKE_REPLY                                                                            \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"            \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
#define REPLY "\x81\x10Request 1234: 77"
#define REPLY_SIZE 18
#define REQUEST_SIZE 18
#define READ_SIZE 65536
#define MOST_FILES 65536

static char data[READ_SIZE], replies[(READ_SIZE / REQUEST_SIZE + 1) * REPLY_SIZE];
static int left_over[MOST_FILES]; /* bytes of a frame that has not come whole, by connection */

static void
answer(int connection)
{
    ssize_t size = read(connection, data, sizeof data);

    if (size <= 0) {
        close(connection);
    }
    else if (data[0] == 'G') { /* GET, which no frame begins with */
        left_over[connection] = 0;
        send(connection, HANDSHAKE_REPLY, sizeof HANDSHAKE_REPLY - 1, MSG_NOSIGNAL);
    }
    else {
        size += left_over[connection];
        left_over[connection] = size % REQUEST_SIZE;
        send(connection, replies, size / REQUEST_SIZE * REPLY_SIZE, MSG_NOSIGNAL);
    }
}

int
main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), poll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, ready[256];
    size_t i;

    for (i = 0; i < sizeof replies; i += REPLY_SIZE) {
        memcpy(replies + i, REPLY, REPLY_SIZE);
    }
    if (bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 4096) < 0
        || getsockname(listener, (struct sockaddr *)&address, &size) < 0
        || epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event) < 0) {
        perror("floor_server");
        return 1;
    }
    printf("ws://127.0.0.1:%d/\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int count = epoll_wait(poll, ready, 256, -1), n;

        for (n = 0; n < count; n++) {
            int connection = ready[n].data.fd;

            if (connection != listener) {
                answer(connection);
                continue;
            }
            while ((connection = accept4(listener, NULL, NULL, 0)) >= 0) {
                event.data.fd = connection;
                epoll_ctl(poll, EPOLL_CTL_ADD, connection, &event);
            }
        }
    }
}
