//! Terminals: ioctl_tty(2), termios(3), pty(7).

use super::{Result, check_int};
use std::os::fd::RawFd;

/// How a terminal is set: `struct termios2` of the kernel, which also holds the speeds that have no name.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Settings {
    input: u32,
    output: u32,
    control: u32,
    local: u32,
    discipline: u8,
    characters: [u8; 19],
    input_speed: u32,
    output_speed: u32,
}

const TCGETS2: u32 = 0x802c_542a;
const TCSETS2: u32 = 0x402c_542b;
const TIOCGDEV: u32 = 0x8004_5432;
const TIOCSPTLCK: u32 = 0x4004_5431;
const TIOCGPTPEER: u32 = 0x5441;

impl Settings {
    /// The same without anything done to what passes through: neither lines nor echo nor signals nor
    /// translated ends of lines (`cfmakeraw` of termios(3)). The line itself, speed and parity, stays as it is.
    #[must_use]
    pub fn raw(mut self) -> Self {
        let input = libc::IGNBRK
            | libc::BRKINT
            | libc::PARMRK
            | libc::ISTRIP
            | libc::INLCR
            | libc::IGNCR
            | libc::ICRNL
            | libc::IXON;
        self.input &= !input;
        self.output &= !libc::OPOST;
        self.local &= !(libc::ECHO | libc::ECHONL | libc::ICANON | libc::ISIG | libc::IEXTEN);
        self.one_by_one()
    }

    /// The same, but each key is handed on when it is typed, and neither shown nor made a signal; what is
    /// written passes through as before.
    #[must_use]
    pub fn by_key(mut self) -> Self {
        self.local &= !(libc::ECHO | libc::ICANON | libc::ISIG | libc::IEXTEN);
        self.one_by_one()
    }

    /// A read returns with the first byte.
    fn one_by_one(mut self) -> Self {
        for (place, value) in [(libc::VMIN, 1), (libc::VTIME, 0)] {
            if let Some(character) = self.characters.get_mut(place) {
                *character = value;
            }
        }
        self
    }

    /// The character that stands for the end of the input, where lines are read.
    #[must_use]
    pub fn end_of_file(&self) -> Option<u8> {
        let reads_lines = self.local & libc::ICANON != 0;
        let character = self.characters.get(libc::VEOF).copied();
        character.filter(|character| reads_lines && *character != 0)
    }

    /// The bytes of it, to be sent to a copy of this process.
    #[must_use]
    pub fn to_bytes(self) -> [u8; size_of::<Self>()] {
        const _: () = assert!(size_of::<Settings>() == 44, "there is no padding");
        // SAFETY: a structure of integers without padding, and an array of bytes of its size.
        unsafe { std::mem::transmute(self) }
    }

    /// From the bytes that [`Self::to_bytes`] gave.
    #[must_use]
    pub fn from_bytes(bytes: [u8; size_of::<Self>()]) -> Self {
        // SAFETY: as above; every value of the bytes is one of the integers.
        unsafe { std::mem::transmute(bytes) }
    }
}

/// How large a terminal is (`struct winsize`).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Characters a line.
    pub columns: u16,
    width: u16,
    height: u16,
}

impl Size {
    /// Of so many lines and characters a line.
    #[must_use]
    pub fn of(rows: u16, columns: u16) -> Self {
        Self {
            rows,
            columns,
            ..Self::default()
        }
    }
}

/// One ioctl(2) that takes a pointer.
fn ioctl<T>(fd: RawFd, request: u32, argument: *mut T) -> Result<()> {
    // SAFETY: the functions below pass requests whose argument is a live T.
    check_int(unsafe { libc::ioctl(fd, request as _, argument) }).map(drop)
}

/// The number of the terminal that a descriptor leads to, also where it was opened as `/dev/tty`; ENOTTY
/// where it leads to none, EIO where that was hung up.
pub fn device(fd: RawFd) -> Result<u32> {
    let mut number = 0;
    ioctl(fd, TIOCGDEV, &raw mut number)?;
    Ok(number)
}

/// How a terminal is set.
pub fn settings(fd: RawFd) -> Result<Settings> {
    let mut settings = Settings::default();
    ioctl(fd, TCGETS2, &raw mut settings)?;
    Ok(settings)
}

/// Sets a terminal at once, whatever of its output is still on its way.
pub fn set(fd: RawFd, mut settings: Settings) -> Result<()> {
    ioctl(fd, TCSETS2, &raw mut settings)
}

/// How large a terminal is.
pub fn size(fd: RawFd) -> Result<Size> {
    let mut size = Size::default();
    ioctl(fd, libc::TIOCGWINSZ as u32, &raw mut size)?;
    Ok(size)
}

/// Says how large a terminal is; who is in its foreground hears of a change by SIGWINCH.
pub fn set_size(fd: RawFd, mut size: Size) -> Result<()> {
    ioctl(fd, libc::TIOCSWINSZ as u32, &raw mut size)
}

/// Lets the other side of a new master be opened (unlockpt(3)).
pub fn unlock(master: RawFd) -> Result<()> {
    let mut locked: libc::c_int = 0;
    ioctl(master, TIOCSPTLCK, &raw mut locked)
}

/// Opens the other side of a master, wherever its devpts is mounted, without making it anybody's
/// controlling terminal. Closed at exec.
pub fn open_peer(master: RawFd) -> Result<RawFd> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: the argument is a number.
    check_int(unsafe { libc::ioctl(master, TIOCGPTPEER as _, flags) })
}

/// Makes a terminal the controlling one of the session that the calling process leads.
pub fn take_control(fd: RawFd) -> Result<()> {
    // SAFETY: the argument is a number: to take it from nobody.
    check_int(unsafe { libc::ioctl(fd, libc::TIOCSCTTY as _, 0) }).map(drop)
}

/// Puts the caller's process group into the foreground of its controlling terminal. SIGTTOU is to be
/// blocked: it stops whoever does that from the background.
pub fn come_to_the_foreground(fd: RawFd) -> Result<()> {
    // SAFETY: no pointers; getpgrp cannot fail.
    check_int(unsafe { libc::tcsetpgrp(fd, libc::getpgrp()) }).map(drop)
}

/// Whether the caller's process group is in the foreground of a terminal.
#[must_use]
pub fn is_in_the_foreground(fd: RawFd) -> bool {
    // SAFETY: no pointers.
    unsafe { libc::tcgetpgrp(fd) == libc::getpgrp() }
}

/// Gives a terminal to an owner (fchown(2)).
pub fn give_to(fd: RawFd, uid: u32, gid: u32) -> Result<()> {
    // SAFETY: no pointers.
    check_int(unsafe { libc::fchown(fd, uid, gid) }).map(drop)
}
