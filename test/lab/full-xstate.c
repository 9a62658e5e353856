/*
 * Preloaded into linux.uml on hosts whose extended register state is larger than the 2696 bytes
 * that user-mode Linux 6.1 knows (Intel AMX). There ptrace(PTRACE_SETREGSET, NT_X86_XSTATE) takes
 * the whole area or fails with EFAULT, so a short area from the caller is laid over the tracee's
 * present whole area.
 */
#include <stdarg.h>

/* Declared here so that the compiler alone is enough, without the C library's headers. */
typedef __SIZE_TYPE__ size_t;
struct iovec {
  void *iov_base;
  size_t iov_len;
};
long syscall(long number, ...);
void *memcpy(void *target, const void *source, size_t length);
int *__errno_location(void);
enum { SYS_ptrace = 101 }; /* x86-64 */

enum { TRACE_PEEKTEXT = 1, TRACE_PEEKUSER = 3, TRACE_GETREGSET = 0x4204, TRACE_SETREGSET = 0x4205 };
enum { REGSET_XSTATE = 0x202 };

static long set_xstate(long pid, const struct iovec *given) {
  static unsigned char area[1 << 16] __attribute__((aligned(64)));
  struct iovec whole = {.iov_base = area, .iov_len = sizeof area};
  if (syscall(SYS_ptrace, (long)TRACE_GETREGSET, pid, (long)REGSET_XSTATE, &whole) < 0) return -1;
  size_t length = given->iov_len < whole.iov_len ? given->iov_len : whole.iov_len;
  memcpy(area, given->iov_base, length);
  return syscall(SYS_ptrace, (long)TRACE_SETREGSET, pid, (long)REGSET_XSTATE, &whole);
}

long ptrace(int request, ...) {
  va_list list;
  va_start(list, request);
  long pid = va_arg(list, int);
  void *address = va_arg(list, void *);
  void *data = va_arg(list, void *);
  va_end(list);
  if (request == TRACE_SETREGSET && (long)address == REGSET_XSTATE) return set_xstate(pid, data);
  if (request >= TRACE_PEEKTEXT && request <= TRACE_PEEKUSER) {
    /* The system call stores the word; the library function returns it. */
    long word = 0;
    if (syscall(SYS_ptrace, (long)request, pid, address, &word) < 0) return -1;
    *__errno_location() = 0;
    return word;
  }
  return syscall(SYS_ptrace, (long)request, pid, address, data);
}
