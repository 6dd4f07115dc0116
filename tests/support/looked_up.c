/* Preloaded into a process: notes, in the file that LOOKED_UP names, every host that is looked up and every address of another machine. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void note(const char *what) {
  const char *name = getenv("LOOKED_UP");
  FILE *file = name ? fopen(name, "a") : NULL;
  if (file) {
    fprintf(file, "%s\n", what);
    fclose(file);
  }
}

static int local(const char *name) {
  return !name || !strncmp(name, "127.", 4) || !strcmp(name, "localhost") || !strcmp(name, "::1") || !strcmp(name, "0.0.0.0");
}

static void note_address(const struct sockaddr *address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address && address->sa_family == AF_INET)
    inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, text, sizeof text);
  else if (address && address->sa_family == AF_INET6)
    inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, text, sizeof text);
  else
    return;
  if (!local(text)) note(text);
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
  if (!local(node)) note(node);
  int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");
  return real(node, service, hints, found);
}

struct hostent *gethostbyname(const char *name) {
  if (!local(name)) note(name);
  struct hostent *(*real)(const char *) = dlsym(RTLD_NEXT, "gethostbyname");
  return real(name);
}

int connect(int handle, const struct sockaddr *address, socklen_t size) {
  note_address(address);
  int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "connect");
  return real(handle, address, size);
}

ssize_t sendto(int handle, const void *data, size_t length, int flags, const struct sockaddr *address, socklen_t size) {
  note_address(address);
  ssize_t (*real)(int, const void *, size_t, int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "sendto");
  return real(handle, data, length, flags, address, size);
}
