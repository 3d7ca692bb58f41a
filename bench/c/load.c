/*
 * The load generator: opens streams, reads them, and checks every delivery. It parses nothing: an event carries the mark
 * "@<8 digits: number>@<15 digits: microseconds>@", and each connection must see the numbers one after the other, without a hole.
 *
 *   load <address> <port>      commands on standard input, answers on standard output, one a line
 *
 *   request <bytes>\n<text>    what the next connections send; "{i}" in it becomes the connection's number, 8 digits
 *   after <bytes>\n<text>      what they send once the headers are there (a WebSocket client's first frame)
 *   open <count> <at once>     -> opened <open now> <microseconds since the command>
 *   blocks                     from now on, blank lines are counted too: SSE blocks without a mark, such as heartbeats
 *   gzip                       bodies are chunked and compressed (only where built with zlib; see inflate.h)
 *   nap <microseconds>         sleep so long before each look at the sockets, so that many are read at once: cheap for the generator, and
 *                              the server is not charged for waking it at every write. 0 for latencies
 *   stats                      -> stats <JSON>, and begins to count anew
 *   close                      -> closed
 *
 * By itself it says "all <number>" when every connection that was asked for has the event of that number, and "error <text>" before it ends.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { MARK = 26, SLOTS = 1 << 16, BUFFER = 1 << 18, BUCKETS = 2048, TEXT = 8192 };

typedef struct {
  int fd;
  uint8_t state;      /* 0 connecting, 1 waiting for the end of the headers, 2 open */
  uint8_t ends;       /* how much of \r\n\r\n has been seen */
  uint8_t carried;    /* bytes of a mark that the next read completes */
  uint8_t newline;    /* the last byte was a line feed */
  uint8_t seen;       /* whether `last` means anything */
  uint32_t last;
  uint16_t request;
  char carry[MARK];
  struct Inflater *inflater;
} Connection;

typedef struct { char *text; size_t length; char *after; size_t after_length; } Request;

static Connection *connections;
static Request requests[4096];
static int request_count, count, open_count, pending, target, at_once, first_pending;
static struct sockaddr_in server;
static int poll_fd;
static uint32_t reached[SLOTS];
static int64_t all = -1, told = -1;
static int counting_blocks, nap;
static uint64_t deliveries, bytes, reads, blocks, latency_sum, open_began;
static uint32_t latencies[BUCKETS], latency_max;

static uint64_t micros(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  printf("error ");
  vprintf(format, arguments);
  printf("\n");
  va_end(arguments);
  fflush(stdout);
  exit(1);
}

/* Buckets of 1/64 of a power of two: a latency is known to 1.6 %. */
static int bucket_of(uint32_t value) {
  if (value < 64) return value;
  int shift = 25 - __builtin_clz(value);
  return (shift + 1) * 64 + ((value >> shift) - 64);
}

static double bucket_value(int bucket) {
  if (bucket < 64) return bucket;
  int shift = bucket / 64 - 1;
  return (double)((uint64_t)(bucket % 64 + 64) << shift) + (double)(1ull << shift) / 2;
}

static double percentile(double share) {
  uint64_t total = 0, sum = 0;
  for (int i = 0; i < BUCKETS; i++) total += latencies[i];
  if (total == 0) return 0;
  for (int i = 0; i < BUCKETS; i++) {
    sum += latencies[i];
    if (sum >= total * share) return bucket_value(i);
  }
  return latency_max;
}

static uint64_t number_at(const char *text, int digits) {
  uint64_t value = 0;
  for (int i = 0; i < digits; i++) {
    if (text[i] < '0' || text[i] > '9') fail("a mark is broken: %.26s", text - (digits == 8 ? 1 : 10));
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

static void delivered(Connection *c, const char *mark, uint64_t now) {
  uint32_t number = number_at(mark + 1, 8);
  if (c->seen && number != c->last + 1)
    fail("connection %d: event %u after %u", (int)(c - connections), number, c->last);
  c->seen = 1;
  c->last = number;
  deliveries++;
  uint64_t published = number_at(mark + 10, 15);
  uint32_t latency = now > published ? now - published : 0;
  latency_sum += latency;
  if (latency > latency_max) latency_max = latency;
  int bucket = bucket_of(latency);
  latencies[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
  uint32_t *slot = &reached[number % SLOTS];
  if (++*slot == (uint32_t)count) {
    *slot = 0;
    all = number;
  }
}

/* `data` has room for MARK bytes before it. */
static void body(Connection *c, char *data, size_t length, uint64_t now) {
  if (counting_blocks) {
    int newline = c->newline;
    for (size_t i = 0; i < length; i++) {
      if (data[i] == '\n') {
        if (newline) blocks++;
        newline = !newline;
      } else newline = 0;
    }
    c->newline = newline;
  }
  if (c->carried) {
    data -= c->carried;
    length += c->carried;
    memcpy(data, c->carry, c->carried);
    c->carried = 0;
  }
  char *at = data, *end = data + length;
  while ((at = memchr(at, '@', end - at))) {
    if (end - at < MARK) {
      c->carried = end - at;
      memcpy(c->carry, at, c->carried);
      return;
    }
    delivered(c, at, now);
    at += MARK;
  }
}

static int compressed;
#include "inflate.h"

static void start_connection(void) {
  Connection *c = &connections[first_pending++];
  pending++;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (c->fd < 0) fail("no socket: %s", strerror(errno));
  int on = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(c->fd, (struct sockaddr *)&server, sizeof server) < 0 && errno != EINPROGRESS)
    fail("cannot connect: %s", strerror(errno));
  struct epoll_event event = {.events = EPOLLOUT, .data.u32 = c - connections};
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

static void send_request(Connection *c) {
  Request *request = &requests[c->request];
  static char text[TEXT];
  memcpy(text, request->text, request->length);
  char *number = memmem(text, request->length, "{i}", 3);
  size_t length = request->length;
  if (number) {
    size_t rest = length - (number + 3 - text);
    memmove(number + 8, number + 3, rest);
    char digits[9];
    snprintf(digits, sizeof digits, "%08d", (int)(c - connections));
    memcpy(number, digits, 8);
    length += 5;
  }
  if (write(c->fd, text, length) != (ssize_t)length) fail("the request was not taken: %s", strerror(errno));
  c->state = 1;
  /* Edge-triggered: the kernel does not look a second time at every socket that was read. `readable` reads all there is. */
  struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = c - connections};
  epoll_ctl(poll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

static void opened(Connection *c) {
  c->state = 2;
  open_count++;
  pending--;
  Request *request = &requests[c->request];
  if (request->after_length && write(c->fd, request->after, request->after_length) != (ssize_t)request->after_length)
    fail("the first frame was not taken: %s", strerror(errno));
  if (open_count == target) {
    printf("opened %d %llu\n", open_count, (unsigned long long)(micros() - open_began));
    fflush(stdout);
  }
}

/* False when the socket is empty. */
static int readable(Connection *c) {
  static char buffer[MARK + BUFFER + 1];
  char *data = buffer + MARK;
  ssize_t length = recv(c->fd, data, BUFFER, 0);
  if (length < 0) {
    if (errno == EINTR) return 1;
    if (errno == EAGAIN) return 0;
    fail("connection %d: %s", (int)(c - connections), strerror(errno));
  }
  if (length == 0) fail("connection %d was ended by the server", (int)(c - connections));
  int more = length == BUFFER;
  bytes += length;
  reads++;
  if (c->state == 1) {
    if (length > 12 && strncmp(data, "HTTP/", 5) == 0 && data[9] != '2' && data[9] != '1') {
      data[length] = 0;
      fail("connection %d was refused: %.300s", (int)(c - connections), data);
    }
    ssize_t i = 0;
    while (i < length && c->ends < 4) {
      char wanted = c->ends % 2 ? '\n' : '\r';
      c->ends = data[i] == wanted ? c->ends + 1 : data[i] == '\r';
      i++;
    }
    if (c->ends < 4) return more;
    opened(c);
    data += i;
    length -= i;
    if (length == 0) return more;
  }
  (compressed ? inflate_body : body)(c, data, length, micros());
  return more;
}

static char *take_text(size_t length) {
  char *text = malloc(length + 1);
  if (!text || fread(text, 1, length, stdin) != length) fail("a text is cut");
  text[length] = 0;
  return text;
}

static void stats(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  uint64_t cpu = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000ull + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
  printf("stats {\"deliveries\":%llu,\"bytes\":%llu,\"reads\":%llu,\"blocks\":%llu,\"cpuMicros\":%llu,\"atMicros\":%llu,"
         "\"latency\":{\"mean\":%.1f,\"p50\":%.1f,\"p99\":%.1f,\"max\":%u}}\n",
         (unsigned long long)deliveries, (unsigned long long)bytes, (unsigned long long)reads, (unsigned long long)blocks,
         (unsigned long long)cpu, (unsigned long long)micros(), deliveries ? (double)latency_sum / deliveries : 0,
         percentile(0.5), percentile(0.99), latency_max);
  fflush(stdout);
  deliveries = bytes = reads = blocks = latency_sum = 0;
  latency_max = 0;
  memset(latencies, 0, sizeof latencies);
}

/* False at the end of the input. */
static int command(void) {
  char line[256];
  if (!fgets(line, sizeof line, stdin)) return 0;
  int a, b;
  if (sscanf(line, "request %d", &a) == 1) {
    if (a > TEXT - 8 || request_count == 4096) fail("the request is too long");
    requests[request_count++] = (Request){.text = take_text(a), .length = a};
  } else if (sscanf(line, "after %d", &a) == 1) {
    requests[request_count - 1].after = take_text(a);
    requests[request_count - 1].after_length = a;
  } else if (sscanf(line, "open %d %d", &a, &b) == 2) {
    connections = realloc(connections, (count + a) * sizeof *connections);
    memset(connections + count, 0, a * sizeof *connections);
    for (int i = count; i < count + a; i++) connections[i].request = request_count - 1;
    count += a;
    target = count;
    at_once = b;
    open_began = micros();
  } else if (strcmp(line, "blocks\n") == 0) counting_blocks = 1;
  else if (strcmp(line, "gzip\n") == 0) compressed = 1;
  else if (sscanf(line, "nap %d", &nap) == 1) {}
  else if (strcmp(line, "stats\n") == 0) stats();
  else if (strcmp(line, "close\n") == 0) {
    for (int i = 0; i < count; i++) close(connections[i].fd);
    memset(reached, 0, sizeof reached);
    count = open_count = pending = first_pending = target = request_count = 0;
    all = told = -1;
    printf("closed\n");
    fflush(stdout);
  } else fail("unknown command: %s", line);
  return 1;
}

int main(int argc, char **argv) {
  if (argc != 3) fail("load <address> <port>");
  server.sin_family = AF_INET;
  server.sin_port = htons(atoi(argv[2]));
  if (inet_pton(AF_INET, argv[1], &server.sin_addr) != 1) fail("not an address: %s", argv[1]);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  /* Commands are whole in the pipe when it becomes readable: stdio may wait for the rest of one. */
  setvbuf(stdin, NULL, _IONBF, 0);
  poll_fd = epoll_create1(0);
  struct epoll_event input = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, 0, &input);
  static struct epoll_event events[1024];
  for (;;) {
    while (first_pending < count && pending < at_once) start_connection();
    if (nap && pending == 0) usleep(nap);
    int ready = epoll_wait(poll_fd, events, 1024, -1);
    for (int i = 0; i < ready; i++) {
      if (events[i].data.u32 == UINT32_MAX) {
        if (!command()) return 0;
        /* A `close` makes what else is ready point nowhere. */
        break;
      }
      Connection *c = &connections[events[i].data.u32];
      if (c->state == 0) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) fail("cannot connect: %s", strerror(error));
        send_request(c);
      } else {
        while (readable(c)) {}
      }
    }
    if (all > told) {
      told = all;
      printf("all %lld\n", (long long)all);
      fflush(stdout);
    }
  }
}
