//! The loopback interface (netdevice(7)).

use super::{Result, check_int, descriptor};

/// Brings up `lo` in the network namespace of the caller (`SIOCSIFFLAGS`).
pub fn loopback_up() -> Result<()> {
    // SAFETY: no pointers.
    let socket = check_int(unsafe {
        libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0)
    })?;
    // SAFETY: an ifreq of zeros is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an ifreq, which lives here.
    let result =
        check_int(unsafe { libc::ioctl(socket, libc::SIOCSIFFLAGS as _, &raw const request) });
    descriptor::close(socket);
    result.map(drop)
}

/// Enters a network namespace (setns(2)).
pub fn enter(namespace: std::os::fd::RawFd) -> Result<()> {
    super::identity::enter_namespace(namespace, libc::CLONE_NEWNET)
}
