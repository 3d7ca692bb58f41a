/*
 * The limit: a server that does nothing but `write` one prebuilt text to every connection, once a turn, in C.
 * No cursors, no retention, no limits, no slow readers. Commands on standard input, one a line:
 *
 *   allow <turns> <events> <bytes>   publish up to this many turns in all, each of so many events of so many bytes
 *   beat                             write a heartbeat
 *   cpu                              -> cpu <microseconds in user mode> <in the kernel>
 *
 * It says "port <number>" when it listens.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static int peers[65536], peer_count, poll_fd, listener;
static long turn, allowed, number = 1;
static int events_a_turn = 1, event_bytes = 264;
static char frames[1 << 20];

static long micros(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000L + now.tv_nsec / 1000;
}

static void accept_all(void) {
  int fd;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event);
  }
}

static void request_from(int fd) {
  static char request[8192];
  ssize_t length = read(fd, request, sizeof request);
  if (length <= 0) {
    close(fd);
    for (int i = 0; i < peer_count; i++) if (peers[i] == fd) peers[i] = peers[--peer_count];
    return;
  }
  static const char headers[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache, no-transform\r\n"
                                "X-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n";
  if (write(fd, headers, sizeof headers - 1) > 0) peers[peer_count++] = fd;
}

/* To everyone, as one chunk of a chunked body. */
static void write_all(const char *body, size_t length) {
  int size = sprintf(frames, "%zx\r\n", length);
  memcpy(frames + size, body, length);
  memcpy(frames + size + length, "\r\n", 2);
  for (int i = 0; i < peer_count; i++)
    if (write(peers[i], frames, size + length + 2) != (ssize_t)(size + length + 2)) {
      fprintf(stderr, "a peer is full\n");
      exit(1);
    }
}

/* As long as those of the others. */
static void beat(void) {
  static const char body[] = "event: heartbeat\nid: AAAAAAAAAAAAAAAA.0\ndata: {\"timestamp\":\"2026-01-31T09:30:00.000Z\"}\n\n";
  write_all(body, sizeof body - 1);
}

static void publish(void) {
  size_t length = 0;
  static char body[1 << 20];
  for (int i = 0; i < events_a_turn; i++) {
    char *at = body + length;
    int head = sprintf(at, "event: entity.updated\nid: AAAAAAAAAAAAAAAA.%ld\ndata: {\"entity\":\"document\",\"id\":\"doc_%08ld\",\"data\":{\"mark\":\"@%08ld@%015ld@\",\"title\":\"", number, number, number, micros());
    int fill = event_bytes - head - 6;
    memset(at + head, 'x', fill > 0 ? fill : 0);
    strcpy(at + head + (fill > 0 ? fill : 0), "\"}}\n\n");
    length += strlen(at);
    number++;
  }
  write_all(body, length);
}

int main(void) {
  listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  if (bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 4096) < 0) return 1;
  getsockname(listener, (struct sockaddr *)&address, &size);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  setvbuf(stdin, NULL, _IONBF, 0);
  poll_fd = epoll_create1(0);
  struct epoll_event input = {.events = EPOLLIN, .data.fd = 0}, accepting = {.events = EPOLLIN, .data.fd = listener};
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, 0, &input);
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &accepting);
  printf("port %d\n", ntohs(address.sin_port));
  fflush(stdout);
  static struct epoll_event events[1024];
  for (;;) {
    int ready = epoll_wait(poll_fd, events, 1024, turn < allowed ? 0 : -1);
    for (int i = 0; i < ready; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) accept_all();
      else if (fd != 0) request_from(fd);
      else {
        char line[256];
        if (!fgets(line, sizeof line, stdin)) return 0;
        if (sscanf(line, "allow %ld %d %d", &allowed, &events_a_turn, &event_bytes) == 3) continue;
        if (strcmp(line, "beat\n") == 0) {
          beat();
          continue;
        }
        struct rusage usage;
        getrusage(RUSAGE_SELF, &usage);
        printf("cpu %ld %ld\n", usage.ru_utime.tv_sec * 1000000L + usage.ru_utime.tv_usec, usage.ru_stime.tv_sec * 1000000L + usage.ru_stime.tv_usec);
        fflush(stdout);
      }
    }
    if (turn < allowed) {
      publish();
      turn++;
    }
  }
}
