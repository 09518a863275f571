//! The members of a tar archive (tar(5)), read in order: ustar, GNU long names, pax records.
//!
//! Read by hand, over the header of the `tar` crate: what an archive says is a stranger's, and every length
//! in it has to be bounded before anything of that length is read. Sparse members are refused, since few
//! bytes of them stand for as many as they like.

use std::io::{self, BufReader, Read, Seek as _};
use std::path::{Path, PathBuf};
use tar::{EntryType, Header};

const BLOCK: u64 = 512;

/// The most that records about one member may take, in bytes: names and extended attributes.
const RECORDS: u64 = 1 << 20;

/// What can be read, and passed over.
pub trait Skip: Read + Sized {
    /// Passes over bytes, or fails where they are not there.
    ///
    /// # Errors
    /// The end comes before, or it cannot be read.
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let passed = io::copy(&mut self.by_ref().take(bytes), &mut io::sink())?;
        if passed < bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

impl Skip for super::stream::Stream {}

impl Skip for BufReader<std::fs::File> {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let length = self.get_ref().metadata()?.len();
        if self.stream_position()?.saturating_add(bytes) > length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.seek_relative(i64::try_from(bytes).map_err(io::Error::other)?)
    }
}

#[cfg(test)]
impl Skip for &[u8] {}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// Another name of a member before it.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A directory.
    Directory,
    /// A FIFO.
    Fifo,
    /// A device node.
    Device,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name, as it is written.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// What a link points to.
    pub link: Vec<u8>,
    /// The permission bits, with the setuid, the setgid and the sticky bit.
    pub mode: u32,
    /// The owner.
    pub uid: u64,
    /// The group.
    pub gid: u64,
    /// The time of the last modification: seconds since 1970, and nanoseconds.
    pub mtime: (i64, u32),
    /// The bytes of a file.
    pub size: u64,
    /// Extended attributes.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Member {
    /// Its name, for people.
    #[must_use]
    pub fn name(&self) -> PathBuf {
        use std::os::unix::ffi::OsStrExt as _;
        Path::new(std::ffi::OsStr::from_bytes(&self.path)).to_owned()
    }
}

/// The members of an archive, one after the other.
#[derive(Debug)]
pub struct Members<R> {
    source: R,
    /// How far in the archive, in bytes.
    place: u64,
    /// What is left of the present member, and of the block that it ends in.
    data: u64,
    padding: u64,
    /// Whether there is no more.
    ended: bool,
}

/// What comes before a member and is about it.
#[derive(Default)]
struct About {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<(i64, u32)>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl<R: Skip> Members<R> {
    /// Of an archive from its beginning on.
    pub const fn new(source: R) -> Self {
        Self {
            source,
            place: 0,
            data: 0,
            padding: 0,
            ended: false,
        }
    }

    /// Where in the archive the data of the present member begin, as long as nothing was read of them.
    pub const fn place(&self) -> u64 {
        self.place
    }

    /// What the archive is read from.
    pub fn into_inner(self) -> R {
        self.source
    }

    /// The next member; none at the end.
    ///
    /// # Errors
    /// A sentence about what is wrong with the archive.
    pub fn advance(&mut self) -> Result<Option<Member>, String> {
        if self.ended {
            return Ok(None);
        }
        let mut about = About::default();
        let mut records = 0u64;
        loop {
            self.pass()?;
            let Some(block) = self.block()? else {
                return Err("it is truncated: the mark of its end is missing".into());
            };
            if block.iter().all(|byte| *byte == 0) {
                self.ended = true;
                return Ok(None);
            }
            let header = Header::from_byte_slice(&block);
            if !is_whole(header, &block) {
                return Err(
                    "it is no tar archive, or damaged: a header has a wrong checksum".into(),
                );
            }
            let kind = header.entry_type();
            let size = header.entry_size().map_err(|e| e.to_string())?;
            if is_record(kind) {
                // The block of its header too: an endless run of empty ones is no member either.
                records = records.saturating_add(size).saturating_add(BLOCK);
                if records > RECORDS {
                    return Err(format!(
                        "the records about one member take more than {RECORDS} bytes"
                    ));
                }
                self.expect(size);
                let mut text = Vec::new();
                self.read_to_end(&mut text).map_err(unread)?;
                about.add(kind, &text)?;
                continue;
            }
            let member = about.member(header, kind, size)?;
            self.expect(member.size);
            return Ok(Some(member));
        }
    }

    fn expect(&mut self, size: u64) {
        self.data = size;
        self.padding = (BLOCK - size % BLOCK) % BLOCK;
    }

    /// Passes over what was not read of the present member.
    fn pass(&mut self) -> Result<(), String> {
        let rest = self.data.saturating_add(self.padding);
        if rest > 0 {
            self.source.skip(rest).map_err(unread)?;
            self.place = self.place.saturating_add(rest);
        }
        (self.data, self.padding) = (0, 0);
        Ok(())
    }

    /// The next block; none at the end of the file.
    fn block(&mut self) -> Result<Option<[u8; 512]>, String> {
        let mut block = [0; 512];
        let mut got = 0;
        while got < block.len() {
            let room = block.get_mut(got..).unwrap_or_default();
            match self.source.read(room) {
                Ok(0) if got == 0 => return Ok(None),
                Ok(0) => return Err(unread(io::ErrorKind::UnexpectedEof.into())),
                Ok(n) => got += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unread(error)),
            }
        }
        self.place = self.place.saturating_add(BLOCK);
        Ok(Some(block))
    }
}

/// The data of the present member.
impl<R: Skip> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.data).unwrap_or(usize::MAX);
        let room = buffer.len().min(most);
        let Some(buffer) = buffer.get_mut(..room).filter(|room| !room.is_empty()) else {
            return Ok(0);
        };
        let n = self.source.read(buffer)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.data = self.data.saturating_sub(n as u64);
        self.place = self.place.saturating_add(n as u64);
        Ok(n)
    }
}

/// The sentence about an archive that cannot be read on.
#[must_use]
pub fn unread(error: io::Error) -> String {
    match error.kind() {
        // A sentence of ours comes with the same kind.
        io::ErrorKind::UnexpectedEof if error.get_ref().is_none() => "it is truncated".into(),
        _ => error.to_string(),
    }
}

/// Whether the checksum is right: the sum of all bytes, those of the checksum itself taken for spaces.
fn is_whole(header: &Header, block: &[u8; 512]) -> bool {
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(at, byte)| {
            if (148..156).contains(&at) {
                32
            } else {
                u32::from(*byte)
            }
        })
        .sum();
    header.cksum().is_ok_and(|said| said == sum)
}

const fn is_record(kind: EntryType) -> bool {
    matches!(
        kind,
        EntryType::XHeader
            | EntryType::XGlobalHeader
            | EntryType::GNULongName
            | EntryType::GNULongLink
    )
}

impl About {
    /// Takes what a record says.
    fn add(&mut self, kind: EntryType, text: &[u8]) -> Result<(), String> {
        let name = || {
            let end = text.iter().position(|byte| *byte == 0);
            text.get(..end.unwrap_or(text.len()))
                .unwrap_or_default()
                .to_vec()
        };
        match kind {
            EntryType::GNULongName => self.path = Some(name()),
            EntryType::GNULongLink => self.link = Some(name()),
            _ => {
                for (key, value) in pax(text)? {
                    if kind == EntryType::XGlobalHeader {
                        if key != b"comment" {
                            let key = String::from_utf8_lossy(key);
                            return Err(format!("a global record says `{key}` of all members"));
                        }
                    } else {
                        self.pax(key, value)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes one record of pax; those about the time of the last access and the like are of no use here.
    fn pax(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let number = || {
            let text = std::str::from_utf8(value).ok();
            let number = text.and_then(|text| text.parse::<u64>().ok());
            let key = String::from_utf8_lossy(key);
            number.ok_or_else(|| format!("the record `{key}` is no number"))
        };
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(number()?),
            b"uid" => self.uid = Some(number()?),
            b"gid" => self.gid = Some(number()?),
            b"mtime" => {
                let time = std::str::from_utf8(value).ok().and_then(time);
                self.mtime = Some(time.ok_or("the record `mtime` is no time")?);
            }
            _ if key.starts_with(b"GNU.sparse.") => return Err(SPARSE.into()),
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.xattrs.push((name.to_vec(), value.to_vec()));
                }
            }
        }
        Ok(())
    }

    /// The member that it is about.
    fn member(self, header: &Header, kind: EntryType, size: u64) -> Result<Member, String> {
        let path = self
            .path
            .unwrap_or_else(|| header.path_bytes().into_owned());
        let shown = String::from_utf8_lossy(&path).into_owned();
        let said = |e: io::Error| format!("the header of `{shown}` cannot be read: {e}");
        let kind = match kind {
            // Before POSIX, a directory was a file with a slash at the end.
            EntryType::Regular if path.ends_with(b"/") => Kind::Directory,
            EntryType::Regular | EntryType::Continuous => Kind::File,
            EntryType::Link => Kind::HardLink,
            EntryType::Symlink => Kind::Symlink,
            EntryType::Directory => Kind::Directory,
            EntryType::Fifo => Kind::Fifo,
            EntryType::Char | EntryType::Block => Kind::Device,
            EntryType::GNUSparse => return Err(SPARSE.into()),
            other => {
                let kind = char::from(other.as_byte()).escape_default();
                return Err(format!(
                    "`{shown}` is of a kind that no root holds: `{kind}`"
                ));
            }
        };
        let link = header.link_name_bytes().map(|link| link.into_owned());
        // Only a file has data, whatever a header says of the size of a link.
        let has_data = matches!(kind, Kind::File | Kind::Directory);
        let size = self.size.unwrap_or(size);
        Ok(Member {
            kind,
            link: self.link.or(link).unwrap_or_default(),
            mode: header.mode().map_err(said)? & 0o7777,
            uid: self.uid.map_or_else(|| header.uid().map_err(said), Ok)?,
            gid: self.gid.map_or_else(|| header.gid().map_err(said), Ok)?,
            mtime: match self.mtime {
                Some(time) => time,
                // Before 1970, or no number: what a clock that was never set leaves.
                None => (
                    header
                        .mtime()
                        .ok()
                        .and_then(|t| i64::try_from(t).ok())
                        .unwrap_or(0),
                    0,
                ),
            },
            size: if has_data { size } else { 0 },
            xattrs: self.xattrs,
            path,
        })
    }
}

const SPARSE: &str =
    "it holds sparse members, whose size is whatever it says: make it without `--sparse`";

/// A time of pax: seconds, with a fraction or without.
fn time(text: &str) -> Option<(i64, u32)> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = seconds.parse().ok()?;
    let digits: String = fraction
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect();
    let nanoseconds: u32 = digits.parse().ok()?;
    // A fraction counts away from 0, the kernel's counts upwards.
    match (text.starts_with('-'), nanoseconds) {
        (true, 1..) => Some((seconds.checked_sub(1)?, 1_000_000_000 - nanoseconds)),
        _ => Some((seconds, nanoseconds)),
    }
}

/// A key and its value.
type Record<'t> = (&'t [u8], &'t [u8]);

/// The records of pax: each is its own length in decimal digits, a space, a key, `=`, a value, a newline.
/// Values may hold newlines.
fn pax(mut text: &[u8]) -> Result<Vec<Record<'_>>, String> {
    const WRONG: &str = "a record of pax is not written as one";
    let mut records = Vec::new();
    while !text.is_empty() {
        let space = text.iter().position(|byte| *byte == b' ').ok_or(WRONG)?;
        let length = std::str::from_utf8(text.get(..space).ok_or(WRONG)?).map_err(|_| WRONG)?;
        let length: usize = length.parse().map_err(|_| WRONG)?;
        let record = text.get(space + 1..length).ok_or(WRONG)?;
        let record = record.strip_suffix(b"\n").ok_or(WRONG)?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or(WRONG)?;
        let (key, value) = record.split_at_checked(equals).ok_or(WRONG)?;
        records.push((key, value.get(1..).unwrap_or_default()));
        text = text.get(length..).ok_or(WRONG)?;
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_pax_may_hold_newlines() {
        let text = b"12 path=a/b\n25 SCHILY.xattr.user.a=\n\n";
        let records = pax(text).unwrap();
        assert_eq!(records[0], (&b"path"[..], &b"a/b"[..]));
        assert_eq!(records[1], (&b"SCHILY.xattr.user.a"[..], &b"\n"[..]));
        for wrong in [
            &b"5 a=b"[..],
            b"99 a=b\n",
            b"x a=b\n",
            b"6 a b\n",
            b"0 a=b\n",
            b"18446744073709551615 a=b\n",
        ] {
            assert!(pax(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn times_count_upwards() {
        assert_eq!(time("12"), Some((12, 0)));
        assert_eq!(time("12.5"), Some((12, 500_000_000)));
        assert_eq!(time("-1.25"), Some((-2, 750_000_000)));
        assert_eq!(time("x"), None);
    }

    #[test]
    fn records_without_end_are_no_member() {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::XHeader);
        header.set_size(0);
        header.set_cksum();
        let many = header.as_bytes().repeat(3000);
        let said = Members::new(&many[..]).advance().unwrap_err();
        assert!(said.contains("take more than 1048576 bytes"), "{said}");
    }

    #[test]
    fn what_is_no_archive_is_told_from_a_truncated_one() {
        let said = |bytes: &[u8]| Members::new(bytes).advance().unwrap_err();
        assert!(said(&[b'x'; 512]).contains("no tar archive"));
        assert!(said(&[0; 100]).contains("truncated"));
        assert!(said(&[]).contains("truncated"));
    }
}
