"""Lock this process up, then become the runner: ``python enter.py SPEC`` (Linux 5.14 or newer).

It stands alone, on the standard library, and is a process of its own for each task. What it sets up
is what container engines set up, with the same calls of the kernel:

- *namespaces*: the student's code sees no process but itself, no network, and a file system of its
  own, in which there are the interpreter, NumPy, `gradnb`, the runner, and 16 MB of empty `/tmp`;
- *no privileges*: another user than root, no capabilities, none to be had (`no_new_privs`), and no
  further user namespaces, whose root could mount memory without limit;
- *a filter* of calls to the kernel that no exercise needs: sockets of any kind, for one;
- *limits* on memory, processor time, processes, open files and the size of files; and none of the
  segments, queues and semaphores that stay when a process ends and count for none.

A SPEC without ``root`` asks for the limits alone, which every Unix has.

Three processes take part. This one stays outside and writes which users exist inside. Its child
makes the namespaces, whose root it is, and waits. Its grandchild, number 1 inside, mounts, becomes
nobody and then the runner. Each ends when its parent ends, and when number 1 ends, the kernel ends
all that are left inside. A SIGTERM to this one ends all of them before it ends itself.
"""

import ctypes
import json
import os
import platform
import resource
import signal
import struct
import sys
from pathlib import Path

NOBODY = 65534

# <linux/sched.h>, <sys/mount.h>, <linux/mount.h>, <sys/prctl.h>
NEW_NAMESPACES = {
    "mount": 0x00020000,
    "cgroup": 0x02000000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "user": 0x10000000,
    "pid": 0x20000000,
    "net": 0x40000000,
}
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 0x2, 0x4, 0x1000, 0x4000, 0x40000
MNT_DETACH = 0x2
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV = 0x1, 0x2, 0x4
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 4, 22, 24
PR_SET_NO_NEW_PRIVS = 38
SYS_MOUNT_SETATTR = 442  # the same on every processor; the other is not
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}

# <linux/audit.h>, and the column of `REFUSED`
PROCESSORS = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
REFUSED = {  # by name, their numbers on these processors (<asm/unistd.h>)
    "socket": (41, 198),
    "ptrace": (101, 117),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "perf_event_open": (298, 241),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    # What follows holds memory that counts for no limit, or takes from what the whole machine has.
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "vmsplice": (278, 75),
    "io_setup": (206, 0),
}
# What would hold memory that belongs to no process: none of it, in this namespace.
NOT_SHARED = {
    "sys/kernel/shmmni": "0",
    "sys/kernel/msgmni": "0",
    "sys/kernel/sem": "0 0 0 0",
    "sys/fs/mqueue/queues_max": "0",
}

libc = ctypes.CDLL(None, use_errno=True)


def call(name, *arguments):
    """Call a function of the C library; raise what it reports."""
    if getattr(libc, name)(*arguments) == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def text(path):
    """Return a path as C wants it."""
    return os.fsencode(path)


def mount(source, target, kind=None, flags=0, options=None):
    """Mount, and name the target if it fails."""
    arguments = [None if a is None else text(a) for a in (source, target, kind)]
    try:
        call("mount", *arguments, ctypes.c_ulong(flags), options and options.encode())
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror} (at {target})") from None


def read_only(path, flags=AT_RECURSIVE, devices=False):
    """Make a mount read-only, with all below it."""
    attributes = ATTR_RDONLY | ATTR_NOSUID | (0 if devices else ATTR_NODEV)
    wanted = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    call("syscall", SYS_MOUNT_SETATTR, AT_FDCWD, text(path), flags, wanted, ctypes.sizeof(wanted))


def end_with_parent(how=signal.SIGKILL):
    """Ask the kernel to end this process when its parent ends."""
    call("prctl", PR_SET_PDEATHSIG, how, 0, 0, 0)


def filter_calls():
    """Let the kernel refuse the calls in `REFUSED`, by a program for its packet filter."""
    if platform.machine() not in PROCESSORS:
        return
    architecture, column = PROCESSORS[platform.machine()]
    load, equal, at_least, give = 0x20, 0x15, 0x35, 0x06
    allow, refuse, kill = 0x7FFF0000, 0x00050001, 0x80000000
    program = [(load, 0, 0, 4), (equal, 1, 0, architecture), (give, 0, 0, kill), (load, 0, 0, 0)]
    program += [(at_least, 0, 1, 0x40000000), (give, 0, 0, kill)]  # calls of the x32 kind
    for numbers in REFUSED.values():
        program += [(equal, 0, 1, numbers[column]), (give, 0, 0, refuse)]
    program.append((give, 0, 0, allow))
    code = b"".join(struct.pack("HBBI", *line) for line in program)
    held = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("HxxxxxxP", len(program), ctypes.addressof(held))
    call("prctl", PR_SET_SECCOMP, 2, ctypes.create_string_buffer(header, len(header)), 0, 0)


def new_file_system(root, spec):
    """Mount all that is to be seen below the folder `root`, and make it the only one."""
    mount(None, "/", flags=MS_REC | MS_PRIVATE)
    mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,nr_inodes=1k,mode=755")
    for source, target in spec["see"]:
        inside = root + target
        if os.path.islink(source) and source == target:  # such as /lib, which leads to /usr/lib
            os.symlink(os.readlink(source), inside)
            continue
        if os.path.isdir(source):
            os.makedirs(inside, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(inside), exist_ok=True)
            Path(inside).touch()
        mount(source, inside, flags=MS_BIND | MS_REC)
        read_only(inside, devices=source.startswith("/dev/"))
    os.makedirs(root + "/tmp", exist_ok=True)
    options = f"size={spec['disk']},nr_inodes={spec['files']},mode=1777"
    mount("tmpfs", root + "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, options)
    for source, target in spec["put"]:
        os.makedirs(root + os.path.dirname(target), exist_ok=True)
        os.chmod(root + os.path.dirname(target), 0o777)
        Path(root + target).write_bytes(Path(source).read_bytes())

    os.chdir(root)
    call("syscall", SYS_PIVOT_ROOT[platform.machine()], b".", b".")
    call("umount2", b".", MNT_DETACH)  # what was the root lies above the new one
    read_only("/", flags=0)
    os.chdir("/tmp")


def set_limits(spec):
    """Set the limits that the kernel holds a process to."""
    for name, limit in spec["limits"].items():
        resource.setrlimit(getattr(resource, name), (limit, limit))


def write(proc, name, text):
    """Write to a file of the kernel's; `proc` is an open /proc, which may be out of sight."""
    file = os.open(name, os.O_WRONLY, dir_fd=proc)
    os.write(file, text.encode())
    os.close(file)


def become_nobody(proc):
    """Give up every right, for good.

    In a user namespace inside of the one that owns the mounts, so that no right over them is left.
    """
    if os.getresuid() != (0, 0, 0):
        raise RuntimeError("only root of the namespaces can give its rights up")
    try:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError:  # there is one user, who started it and is no root
        pass
    uid, gid = os.getuid(), os.getgid()
    call("unshare", NEW_NAMESPACES["user"])
    call("prctl", PR_SET_DUMPABLE, 1, 0, 0, 0)  # or what follows would be root's alone to write
    write(proc, "self/setgroups", "deny")
    write(proc, "self/uid_map", f"{NOBODY} {uid} 1")
    write(proc, "self/gid_map", f"{NOBODY} {gid} 1")
    write(proc, "sys/user/max_user_namespaces", "0")
    write(proc, "sys/user/max_inotify_instances", "0")  # whose watches hold memory as well
    for capability in range(64):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == -1:
            break  # there are no more
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    filter_calls()


def become_the_runner(spec, tell):
    """Do what number 1 does."""
    os.setsid()
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
    new_file_system(spec["root"], spec)
    become_nobody(proc)
    set_limits(spec)
    end_with_parent()
    os.write(tell, b".")  # fails if the parent ended before it could end us
    os.execve(spec["command"][0], spec["command"], spec["environment"])


def make_namespaces(spec, outside, ready, go):
    """Do what the child does; return the exit status of number 1."""
    call("unshare", sum(NEW_NAMESPACES.values()))
    os.write(ready, b".")
    if os.read(go, 1) != b".":
        return 1
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
    for name, nothing in NOT_SHARED.items():
        write(proc, name, nothing)
    heard, tell = os.pipe()
    inside = os.fork()
    if inside == 0:
        try:
            os.close(heard)
            become_the_runner(spec, tell)
        except BaseException as error:
            print(f"enter: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(1)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(inside, signal.SIGKILL))
    end_with_parent(signal.SIGTERM)  # anew, since new rights make the kernel forget it
    if os.getppid() != outside:
        os.kill(inside, signal.SIGKILL)
    return status_of(inside)


def status_of(process):
    """Wait for a process; return its exit status, or 128 and the signal, as shells do."""
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return code if code >= 0 else 128 - code


def main():
    """Lock up, run, and exit as the runner did."""
    spec = json.loads(sys.argv[1])
    if spec["root"] is None:
        set_limits(spec)
        os.execve(spec["command"][0], spec["command"], spec["environment"])
    outside = os.getpid()
    end_with_parent()
    root = os.getuid() == 0
    users = f"0 0 1\n{NOBODY} {NOBODY} 1\n" if root else f"0 {os.getuid()} 1\n"
    groups = users if root else f"0 {os.getgid()} 1\n"
    (ready, is_ready), (go, may_go) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(ready), os.close(may_go)
            end_with_parent()
            if os.getppid() == outside:
                code = make_namespaces(spec, outside, is_ready, go)
        except BaseException as error:
            print(f"enter: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    end_with_parent(signal.SIGTERM)
    os.close(is_ready), os.close(go)
    if os.read(ready, 1) == b".":
        if not root:
            Path(f"/proc/{child}/setgroups").write_text("deny")
        Path(f"/proc/{child}/uid_map").write_text(users)
        Path(f"/proc/{child}/gid_map").write_text(groups)
        os.write(may_go, b".")
    os.close(may_go)
    sys.exit(status_of(child))


if __name__ == "__main__":
    main()
