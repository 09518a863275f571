//! Which devices may be opened.

use std::fmt;

/// What of a device may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeviceRule {
    /// Whether it is a block device, and not one of characters.
    pub block: bool,
    /// The driver's part of the number.
    pub major: u32,
    /// The device's part; none for all of the driver's.
    pub minor: Option<u32>,
    /// Whether it may be read.
    pub read: bool,
    /// Whether it may be written to.
    pub write: bool,
}

impl DeviceRule {
    /// The letter of its kind, as cgroup v1 has it.
    #[must_use]
    pub const fn kind(self) -> char {
        if self.block { 'b' } else { 'c' }
    }

    /// The letters of what may be done.
    #[must_use]
    pub const fn access(self) -> &'static str {
        match (self.read, self.write) {
            (true, true) => "rw",
            (true, false) => "r",
            (false, true) => "w",
            (false, false) => "",
        }
    }
}

/// As `devices.allow` of cgroup v1 takes it: `c 1:3 rw`.
impl fmt::Display for DeviceRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}:", self.kind(), self.major)?;
        match self.minor {
            Some(minor) => write!(f, "{minor}")?,
            None => f.write_str("*")?,
        }
        write!(f, " {}", self.access())
    }
}

/// A node that is made for the sandbox (mknod(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewNode {
    /// Whether it is of blocks, and not of characters.
    pub block: bool,
    /// The driver's part of the number.
    pub major: u32,
    /// The device's part.
    pub minor: u32,
    /// Its permission bits.
    pub mode: u32,
    /// Whose it is, by ids of the host.
    pub owner: (u32, u32),
}

impl fmt::Display for NewNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.block { 'b' } else { 'c' };
        let (uid, gid) = self.owner;
        write!(
            f,
            "{kind} {}:{}, mode {:03o}, of {uid}:{gid} on the host",
            self.major, self.minor, self.mode
        )
    }
}

/// Rules by device, each device once, with all that any of them permits.
#[must_use]
pub fn merged(rules: impl IntoIterator<Item = DeviceRule>) -> Vec<DeviceRule> {
    let mut all: Vec<DeviceRule> = Vec::new();
    for rule in rules {
        let same = |other: &&mut DeviceRule| {
            (other.block, other.major, other.minor) == (rule.block, rule.major, rule.minor)
        };
        match all.iter_mut().find(same) {
            Some(held) => {
                held.read |= rule.read;
                held.write |= rule.write;
            }
            None => all.push(rule),
        }
    }
    all
}
