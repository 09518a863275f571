//! Mounts by file descriptor: fsopen(2), open_tree(2), move_mount(2), mount_setattr(2).
//!
//! Nothing here walks a path twice: a source is opened once and mounted from its descriptor onto
//! the descriptor of a target.

use super::{Result, check, check_int, descriptor};
use std::ffi::CStr;
use std::os::fd::RawFd;
use std::ptr;

/// `struct mount_attr` of mount_setattr(2).
#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Attributes of a mount, as a set of `MOUNT_ATTR_*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(u64);

impl Attributes {
    /// No attribute.
    pub const NONE: Self = Self(0);
    /// `MOUNT_ATTR_RDONLY`.
    pub const READ_ONLY: Self = Self(libc::MOUNT_ATTR_RDONLY);
    /// `MOUNT_ATTR_NOSUID`.
    pub const NOSUID: Self = Self(libc::MOUNT_ATTR_NOSUID);
    /// `MOUNT_ATTR_NODEV`.
    pub const NODEV: Self = Self(libc::MOUNT_ATTR_NODEV);
    /// `MOUNT_ATTR_NOEXEC`.
    pub const NOEXEC: Self = Self(libc::MOUNT_ATTR_NOEXEC);

    /// What a mount has that only shows something: neither setuid programs nor devices nor programs.
    pub const INERT: Self = Self::NOSUID.with(Self::NODEV).with(Self::NOEXEC);

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These without another's.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The set with `other` if `condition` holds.
    #[must_use]
    pub const fn with_if(self, condition: bool, other: Self) -> Self {
        if condition { self.with(other) } else { self }
    }

    /// Whether all of `other` is in the set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Whether a copy of a mount holds what is mounted below it.
///
/// What is mounted there when a mount namespace is made for a new user namespace is locked in it: the kernel
/// refuses a copy without it (EINVAL), since that would uncover what lies under it
/// (mount_namespaces(7), "Restrictions on mount namespaces").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// With what is mounted below it.
    Whole,
    /// The mount alone: what lies under others is uncovered.
    Alone,
}

impl Depth {
    const fn flag(self) -> libc::c_long {
        match self {
            Self::Whole => libc::AT_RECURSIVE as libc::c_long,
            Self::Alone => 0,
        }
    }
}

/// Copies the mount under a descriptor as a detached mount.
pub fn clone_tree(of: RawFd, depth: Depth) -> Result<RawFd> {
    let flags = libc::OPEN_TREE_CLONE as libc::c_long
        | libc::OPEN_TREE_CLOEXEC as libc::c_long
        | libc::c_long::from(libc::AT_EMPTY_PATH)
        | depth.flag();
    // SAFETY: the path is a static empty string.
    check(unsafe { libc::syscall(libc::SYS_open_tree, of, c"".as_ptr(), flags) })
        .map(|fd| fd as RawFd)
}

/// The same for a path of the host, in one call. Symbolic links are followed.
pub fn clone_tree_at(path: &CStr, depth: Depth) -> Result<RawFd> {
    let flags = libc::OPEN_TREE_CLONE as libc::c_long
        | libc::OPEN_TREE_CLOEXEC as libc::c_long
        | libc::c_long::from(libc::AT_NO_AUTOMOUNT)
        | depth.flag();
    // SAFETY: path is NUL-terminated.
    check(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) })
        .map(|fd| fd as RawFd)
}

/// Sets attributes on a mount and on everything below it (mount_setattr(2), `AT_RECURSIVE`).
pub fn set_attributes(mount: RawFd, attributes: Attributes) -> Result<()> {
    setattr(
        mount,
        &MountAttr {
            attr_set: attributes.0,
            attr_clr: 0,
            propagation: 0,
            userns_fd: 0,
        },
        true,
    )
}

/// The same for this one mount, without what is mounted below it.
pub fn set_attributes_here(mount: RawFd, attributes: Attributes) -> Result<()> {
    setattr(
        mount,
        &MountAttr {
            attr_set: attributes.0,
            attr_clr: 0,
            propagation: 0,
            userns_fd: 0,
        },
        false,
    )
}

/// Makes a detached mount show its files under the ids of a user namespace
/// (`MOUNT_ATTR_IDMAP`; Linux 5.12, and a file system that supports it), and keeps what is mounted
/// below it to itself, as [`make_private`] does.
pub fn set_idmap(mount: RawFd, user_namespace: RawFd) -> Result<()> {
    setattr(
        mount,
        &MountAttr {
            attr_set: libc::MOUNT_ATTR_IDMAP,
            attr_clr: 0,
            propagation: libc::MS_PRIVATE,
            userns_fd: user_namespace as u64,
        },
        true,
    )
}

/// Stops propagation to and from a detached mount and what is below it.
pub fn make_private(mount: RawFd) -> Result<()> {
    setattr(
        mount,
        &MountAttr {
            attr_set: 0,
            attr_clr: 0,
            propagation: libc::MS_PRIVATE,
            userns_fd: 0,
        },
        true,
    )
}

/// Stops all propagation to and from the mounts of this namespace.
///
/// As mount(2) and not as mount_setattr(2): in a user namespace the mounts arrive as slaves, and
/// either call ends that.
pub fn make_all_private() -> Result<()> {
    propagate_all(libc::MS_PRIVATE)
}

/// Stops propagation from the mounts of this namespace; they still receive.
pub fn make_all_slaves() -> Result<()> {
    propagate_all(libc::MS_SLAVE)
}

fn propagate_all(how: libc::c_ulong) -> Result<()> {
    // SAFETY: the target is a static string, the other pointers may be null for this request.
    check_int(unsafe {
        libc::mount(
            ptr::null(),
            c"/".as_ptr(),
            ptr::null(),
            libc::MS_REC | how,
            ptr::null(),
        )
    })
    .map(drop)
}

fn setattr(mount: RawFd, attr: &MountAttr, recursive: bool) -> Result<()> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a static empty string, attr a live mount_attr of the size passed.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount,
            c"".as_ptr(),
            flags,
            ptr::from_ref(attr),
            size_of::<MountAttr>(),
        )
    })
    .map(drop)
}

/// Attaches a detached mount on top of the object under `target`.
pub fn attach(mount: RawFd, target: RawFd) -> Result<()> {
    let flags = libc::MOVE_MOUNT_F_EMPTY_PATH | libc::MOVE_MOUNT_T_EMPTY_PATH;
    // SAFETY: both paths are static empty strings.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount,
            c"".as_ptr(),
            target,
            c"".as_ptr(),
            flags,
        )
    })
    .map(drop)
}

/// Opens a context for a new file system of a type (fsopen(2)).
pub fn open_filesystem(kind: &CStr) -> Result<RawFd> {
    // SAFETY: kind is NUL-terminated.
    check(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), libc::FSOPEN_CLOEXEC) })
        .map(|fd| fd as RawFd)
}

/// Sets one option of the context: `key=value`, or the flag `key` (fsconfig(2)).
pub fn configure(context: RawFd, key: &CStr, value: Option<&CStr>) -> Result<()> {
    let (command, value) = match value {
        Some(value) => (FSCONFIG_SET_STRING, value.as_ptr()),
        None => (FSCONFIG_SET_FLAG, ptr::null()),
    };
    // SAFETY: key and value are NUL-terminated, or the value is null as for a flag.
    check(unsafe { libc::syscall(libc::SYS_fsconfig, context, command, key.as_ptr(), value, 0) })
        .map(drop)
}

/// Creates the file system and returns a detached mount of it (fsconfig(2), fsmount(2)).
pub fn create_mount(context: RawFd, attributes: Attributes) -> Result<RawFd> {
    // SAFETY: this command takes neither key nor value.
    check(unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context,
            FSCONFIG_CMD_CREATE,
            ptr::null::<u8>(),
            ptr::null::<u8>(),
            0,
        )
    })?;
    // SAFETY: no pointers.
    check(unsafe {
        libc::syscall(
            libc::SYS_fsmount,
            context,
            libc::FSMOUNT_CLOEXEC,
            attributes.0 as libc::c_uint,
        )
    })
    .map(|fd| fd as RawFd)
}

const FSCONFIG_SET_FLAG: libc::c_uint = 0;
const FSCONFIG_SET_STRING: libc::c_uint = 1;
const FSCONFIG_CMD_CREATE: libc::c_uint = 6;

/// Makes the working directory the root and hangs the old root on top of it, which becomes the
/// working directory's own mount point (pivot_root(2), "pivot_root(".", ".")").
pub fn pivot_root_here() -> Result<()> {
    // SAFETY: both paths are static strings.
    check(unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) }).map(drop)
}

/// The number of the mount that a descriptor is on (statx(2), STATX_MNT_ID).
pub fn mount_number(fd: RawFd) -> Result<u64> {
    const STATX_MNT_ID: u32 = 0x1000;
    let mut found = std::mem::MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the path is a static empty string, and `found` has room for one statx.
    check_int(unsafe {
        libc::statx(
            fd,
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            STATX_MNT_ID,
            found.as_mut_ptr(),
        )
    })?;
    // SAFETY: all of it is numbers, which were zero and which the kernel has now filled in.
    let found = unsafe { found.assume_init() };
    if found.stx_mask & STATX_MNT_ID == 0 {
        return Err(nix::errno::Errno::ENOTSUP);
    }
    Ok(found.stx_mnt_id)
}

/// What a mount does not let be done: of set-user-id programs, devices and programs (fstatvfs(3)).
pub fn restrictions(fd: RawFd) -> Result<Attributes> {
    let mut found = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: the call fills the structure, which lives here.
    check_int(unsafe { libc::fstatvfs(fd, found.as_mut_ptr()) })?;
    // SAFETY: all of it is numbers, which were zero and which the call has now filled in.
    let flags = unsafe { found.assume_init() }.f_flag;
    let has = |flag: libc::c_ulong| flags & flag != 0;
    Ok(Attributes::NONE
        .with_if(has(libc::ST_NOSUID), Attributes::NOSUID)
        .with_if(has(libc::ST_NODEV), Attributes::NODEV)
        .with_if(has(libc::ST_NOEXEC), Attributes::NOEXEC))
}

/// Detaches the topmost of what is mounted on the working directory, with everything below it.
pub fn detach_here() -> Result<()> {
    // SAFETY: the path is a static string.
    check_int(unsafe { libc::umount2(c".".as_ptr(), libc::MNT_DETACH) }).map(drop)
}

/// Opens a file on a read-only mount of its own, at the place that the standard input is at in it: through what is
/// opened nothing of the file can be changed.
///
/// # Errors
/// `ESTALE` where it is not the file of this device and inode.
pub fn read_alone(path: &CStr, file: (u64, u64)) -> Result<RawFd> {
    let tree = clone_tree_at(path, Depth::Alone)?;
    let opened = set_attributes(tree, Attributes::READ_ONLY)
        .and_then(|()| descriptor::reopen_for_reading(tree));
    descriptor::close(tree);
    let opened = opened?;
    let at_its_place = match descriptor::kind(opened) {
        Ok(descriptor::Kind::File(device, inode)) if (device, inode) == file => {
            descriptor::move_to_place_of(opened, libc::STDIN_FILENO)
        }
        Ok(_) => Err(nix::errno::Errno::ESTALE),
        Err(errno) => Err(errno),
    };
    if at_its_place.is_err() {
        descriptor::close(opened);
    }
    at_its_place.map(|()| opened)
}
