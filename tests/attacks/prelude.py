# What every script starts from. Arguments: the facts, the numbers of system calls, the script.
# Exit: 0 if the attack had its way, 1 if it was stopped, 2 if the script is wrong.
import ctypes, errno, json, os, signal, socket, stat, struct, sys, time, types
from errno import *

A = types.SimpleNamespace(**json.loads(sys.argv[1]))
N = json.loads(sys.argv[2])
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
NEWNS, NEWCGROUP, NEWUSER, NEWPID, NEWNET = 0x20000, 0x2000000, 0x10000000, 0x20000000, 0x40000000


def call(name, *arguments):
    """A system call: its result, or an OSError."""
    number = N[name] if isinstance(name, str) else name
    plain = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(number), *plain)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def reaches_kernel(name, *arguments):
    """A call whose arguments make no sense: has it been looked at, or refused as such?"""
    try:
        call(name, *arguments)
    except OSError as error:
        if error.errno in (EPERM, EACCES, ENOSYS, EAFNOSUPPORT, EOPNOTSUPP):
            raise


def any_of(what, attempt):
    """Has the attempt its way with one of these?"""
    last = AssertionError("nothing to try")
    for one in what:
        try:
            return attempt(one)
        except (OSError, AssertionError) as error:
            last = error
    raise last


def own(flags):
    """Makes namespaces, with a user namespace in which one is root."""
    uid, gid = os.geteuid(), os.getegid()
    call("unshare", NEWUSER | flags)
    for name, text in ("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1"):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def alone(flags):
    """Tries to get namespaces of one's own; going on without is not the end of an attack."""
    for attempt in (lambda: call("unshare", flags), lambda: own(flags)):
        try:
            return attempt()
        except OSError:
            pass


def read(path, most=64):
    with open(path, "rb", 0) as file:
        return file.read(most)


def can_open(path, flags=os.O_RDONLY):
    os.close(os.open(path, flags))


try:
    exec(compile(sys.argv[3], "the attack", "exec"))
except (OSError, AssertionError) as error:
    print(f"stopped: {type(error).__name__} {error}", file=sys.stderr)
    sys.exit(1)
except Exception as error:
    print(f"wrong: {type(error).__name__} {error}", file=sys.stderr)
    sys.exit(2)
sys.exit(0)
