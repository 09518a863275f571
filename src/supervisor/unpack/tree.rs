//! A tree that is made from the members of archives, below one directory descriptor.
//!
//! Names are a stranger's. Each is taken apart here, and its parent is opened by openat2(2) beneath the
//! descriptor, without following any link: a member below a link is refused. The last component is only
//! ever made anew, never opened as it is found. So nothing is written but below the descriptor, whatever an
//! archive holds.

use crate::host::images::archive::{Kind, Member};
use crate::host::images::{Bounds, Owners};
use nix::errno::Errno;
use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, XattrFlags,
    chownat, fchmod, fchown, fsetxattr, futimens, linkat, mkdirat, mknodat, openat2, statat,
    symlinkat, unlinkat, utimensat,
};
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

/// The most components of a name: trees are walked with a descriptor for each.
const DEEPEST: usize = 256;

/// The most bytes of the names that have to be remembered until the end.
const NAMES: usize = 512 << 20;

/// No link on the way, and nothing but what is below.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);

const DIRECTORY: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

const LISTED: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// What hides a name of the layers below (OCI image-spec, layer.md).
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Owner, permissions and the like of a file.
#[derive(Clone, Debug)]
struct Attributes {
    mode: u32,
    uid: u64,
    gid: u64,
    mtime: (i64, u32),
}

/// A tree in the making.
#[derive(Debug)]
pub(super) struct Tree<'b> {
    root: OwnedFd,
    bounds: Bounds,
    owners: &'b Owners,
    /// How many members there were.
    pub(super) entries: u64,
    /// How many bytes in files.
    pub(super) bytes: u64,
    /// What directories are to have in the end: until then, they are ours to write to.
    directories: BTreeMap<Vec<u8>, Attributes>,
    /// The parent of the last member.
    last: Option<(Vec<u8>, OwnedFd)>,
    /// What the present layer has made, where there are others below it.
    made: Option<HashSet<Vec<u8>>>,
    /// How many bytes the names take in both.
    names: usize,
}

/// What is written of a member: its parent, and its name there.
struct Name {
    parent: Vec<u8>,
    last: Vec<u8>,
}

impl<'b> Tree<'b> {
    pub(super) fn new(root: OwnedFd, bounds: Bounds, owners: &'b Owners) -> Self {
        Self {
            root,
            bounds,
            owners,
            entries: 0,
            bytes: 0,
            directories: BTreeMap::new(),
            last: None,
            made: None,
            names: 0,
        }
    }

    /// Begins a layer, in which names may hide those of the layers below.
    pub(super) fn begin_layer(&mut self) {
        self.made = Some(HashSet::new());
    }

    /// Makes what a member says.
    pub(super) fn add(&mut self, member: Member, data: &mut impl Read) -> Result<(), String> {
        self.count(&member)?;
        let Some(name) = self.name(&member.path)? else {
            // `./`: the root itself.
            return match member.kind {
                Kind::Directory => {
                    self.directories.insert(Vec::new(), attributes(&member));
                    self.set_xattrs(&self.root, b"/", &member.xattrs)
                }
                _ => Err("the root of the tree is no directory".into()),
            };
        };
        if self.made.is_some() && name.last.starts_with(WHITEOUT) {
            return self.white_out(&name);
        }
        let path = name.path();
        // The sandbox has a /dev of its own, so that the devices of a root are never seen.
        if member.kind == Kind::Device && path.starts_with(b"dev/") {
            return Ok(());
        }
        let parent = self.parent(&name.parent)?;
        let fail = |errno: rustix::io::Errno| failed(&path, errno);
        self.clear(&parent, &name, member.kind == Kind::Directory)?;
        let last = OsStr::from_bytes(&name.last);
        match member.kind {
            Kind::Directory => {
                match mkdirat(&parent, last, Mode::RWXU) {
                    // Of a layer below, or on the way to another member.
                    Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                    Err(errno) => return Err(fail(errno)),
                }
                // At once, since they may be many bytes to remember.
                let directory = openat2(&parent, last, LISTED, Mode::empty(), BENEATH);
                let directory = directory.map_err(fail)?;
                self.set_xattrs(&directory, &path, &member.xattrs)?;
                self.remember(&path)?;
                self.directories.insert(path.clone(), attributes(&member));
            }
            Kind::File => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let mode = Mode::RUSR | Mode::WUSR;
                let file = openat2(&parent, last, flags, mode, BENEATH).map_err(fail)?;
                let mut file = File::from(file);
                copy(data, &mut file, member.size).map_err(|e| failed_io(&path, e))?;
                let attributes = attributes(&member);
                self.give(&file, &path, &attributes)?;
                self.set_xattrs(&file, &path, &member.xattrs)?;
                self.finish(&file, &path, &attributes)?;
            }
            Kind::HardLink => {
                let Some(target) = self.name(&member.link)? else {
                    return Err(format!("{} is a link to the root", shown(&path)));
                };
                let folder = self.open(&target.parent, DIRECTORY).map_err(|errno| {
                    format!(
                        "{} is a hard link to {}, which is not in it: {}",
                        shown(&path),
                        shown(&member.link),
                        desc(errno)
                    )
                })?;
                let to = OsStr::from_bytes(&target.last);
                linkat(&folder, to, &parent, last, AtFlags::empty()).map_err(|errno| {
                    format!(
                        "{} cannot become a hard link to {}: {}",
                        shown(&path),
                        shown(&member.link),
                        desc(errno)
                    )
                })?;
            }
            Kind::Symlink => {
                if member.link.is_empty() || member.link.contains(&0) {
                    return Err(format!("{} is a link that points to nothing", shown(&path)));
                }
                symlinkat(OsStr::from_bytes(&member.link), &parent, last).map_err(fail)?;
                self.finish_name(&parent, last, &path, &attributes(&member))?;
            }
            Kind::Fifo => {
                let mode = Mode::from_raw_mode(member.mode & 0o7777);
                mknodat(&parent, last, FileType::Fifo, mode, 0).map_err(fail)?;
                let attributes = attributes(&member);
                self.finish_name(&parent, last, &path, &attributes)?;
                // Of a name just made in a folder of ours: no link could be followed.
                let mode = Mode::from_raw_mode(attributes.mode);
                rustix::fs::chmodat(&parent, last, mode, AtFlags::empty()).map_err(fail)?;
            }
            Kind::Device => {
                return Err(format!(
                    "{} is a device node: a sandbox gives devices by [devices]",
                    shown(&path)
                ));
            }
        }
        if self.made.is_some() {
            self.remember(&path)?;
        }
        if let Some(made) = &mut self.made {
            made.insert(path);
        }
        self.last = Some((name.parent, parent));
        Ok(())
    }

    /// Gives directories what they are to have in the end: the deepest first, so that none is closed before
    /// what is in it.
    pub(super) fn end(mut self) -> Result<(u64, u64), String> {
        let directories = std::mem::take(&mut self.directories);
        for (path, attributes) in directories.iter().rev() {
            let directory = self.open(path, LISTED).map_err(|e| failed(path, e))?;
            self.give(&directory, path, attributes)?;
            self.finish(&directory, path, attributes)?;
        }
        Ok((self.entries, self.bytes))
    }

    /// Counts before anything is made.
    fn count(&mut self, member: &Member) -> Result<(), String> {
        self.entries += 1;
        if self.entries > self.bounds.entries {
            return Err(format!(
                "it has more than {} members: `max_entries` under [rootfs] permits no more",
                self.bounds.entries
            ));
        }
        self.bytes = self.bytes.saturating_add(member.size);
        if self.bytes > self.bounds.bytes {
            return Err(format!(
                "its files have more than {} bytes, with {} of {}: `max_size` under [rootfs] permits no more",
                self.bounds.bytes,
                member.size,
                shown(&member.path)
            ));
        }
        Ok(())
    }

    /// Counts a name that is kept until the end.
    fn remember(&mut self, path: &[u8]) -> Result<(), String> {
        self.names = self.names.saturating_add(path.len());
        match self.names > NAMES {
            true => Err(format!("its names take more than {NAMES} bytes")),
            false => Ok(()),
        }
    }

    /// Takes a name apart; none for the root itself.
    fn name(&self, path: &[u8]) -> Result<Option<Name>, String> {
        let refuse = |why: &str| Err(format!("the name {} {why}", shown(path)));
        if path.starts_with(b"/") {
            return refuse("is absolute");
        }
        if path.contains(&0) {
            return refuse("holds a NUL");
        }
        let parts = path.split(|byte| *byte == b'/');
        let parts: Vec<_> = parts
            .filter(|part| !part.is_empty() && *part != b".")
            .collect();
        if parts.contains(&&b".."[..]) {
            return refuse("leads upwards (`..`)");
        }
        if parts.len() > DEEPEST {
            return refuse("lies too deep");
        }
        let Some((last, parent)) = parts.split_last() else {
            return Ok(None);
        };
        Ok(Some(Name {
            parent: parent.join(&b'/'),
            last: last.to_vec(),
        }))
    }

    fn open(&self, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let path = if path.is_empty() { &b"."[..] } else { path };
        openat2(
            &self.root,
            OsStr::from_bytes(path),
            flags,
            Mode::empty(),
            BENEATH,
        )
    }

    /// Opens the parent of a member, and makes it if the archive did not.
    fn parent(&mut self, path: &[u8]) -> Result<OwnedFd, String> {
        if let Some((_, parent)) = self.last.take().filter(|(last, _)| last == path) {
            return Ok(parent);
        }
        match self.open(path, DIRECTORY) {
            Ok(parent) => return Ok(parent),
            Err(rustix::io::Errno::NOENT) => {}
            Err(errno) => return Err(below(path, errno)),
        }
        let mut end = 0;
        loop {
            let next = path.iter().skip(end).position(|byte| *byte == b'/');
            end = next.map_or(path.len(), |at| end + at);
            let above = path.get(..end).unwrap_or_default();
            match mkdirat_beneath(self, above) {
                Ok(()) => {
                    self.remember(above)?;
                    self.directories.insert(above.to_vec(), UNSAID);
                    if let Some(made) = &mut self.made {
                        made.insert(above.to_vec());
                    }
                    self.entries += 1;
                }
                Err(rustix::io::Errno::EXIST) => {}
                Err(errno) => return Err(below(above, errno)),
            }
            if end == path.len() {
                break;
            }
            end += 1;
        }
        self.open(path, DIRECTORY)
            .map_err(|errno| below(path, errno))
    }

    /// Takes away what has the name already, but a directory that stays one.
    fn clear(&mut self, parent: &OwnedFd, name: &Name, directory: bool) -> Result<(), String> {
        let last = OsStr::from_bytes(&name.last);
        let there = match statat(parent, last, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => FileType::from_raw_mode(stat.st_mode),
            Err(rustix::io::Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(failed(&name.path(), errno)),
        };
        if directory && there == FileType::Directory {
            return Ok(());
        }
        self.take_away(parent.as_fd(), &name.path(), &name.last)
    }

    /// Removes a name, with all that is below it.
    fn take_away(
        &mut self,
        parent: BorrowedFd<'_>,
        path: &[u8],
        name: &[u8],
    ) -> Result<(), String> {
        self.last = None;
        let below = [path, b"/"].concat();
        self.directories
            .retain(|known, _| known != path && !known.starts_with(&below));
        remove(parent, OsStr::from_bytes(name)).map_err(|errno| failed(path, errno))
    }

    /// Hides what the layers below have; what this layer has made stays, in whichever order it comes.
    fn white_out(&mut self, name: &Name) -> Result<(), String> {
        let parent = match self.open(&name.parent, DIRECTORY) {
            Ok(parent) => parent,
            // Of what is not there, nothing has to be hidden.
            Err(rustix::io::Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(below(&name.parent, errno)),
        };
        if name.last == OPAQUE {
            return self.hide_all(&parent, &name.parent);
        }
        let hidden = name.last.strip_prefix(WHITEOUT).unwrap_or_default();
        if hidden.starts_with(WHITEOUT) {
            // What aufs notes for itself.
            return Ok(());
        }
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(format!("{} hides no name", shown(&name.path())));
        }
        self.hide(&parent, &name.parent, hidden)
    }

    fn hide_all(&mut self, directory: &OwnedFd, path: &[u8]) -> Result<(), String> {
        let readable = openat2(directory, ".", LISTED, Mode::empty(), BENEATH);
        let names = readable.and_then(|fd| names(&fd));
        for name in names.map_err(|errno| failed(path, errno))? {
            self.hide(directory, path, &name)?;
        }
        Ok(())
    }

    fn hide(&mut self, parent: &OwnedFd, folder: &[u8], name: &[u8]) -> Result<(), String> {
        let path = join(folder, name);
        if !self.made.as_ref().is_some_and(|made| made.contains(&path)) {
            return match statat(parent, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW) {
                Err(rustix::io::Errno::NOENT) => Ok(()),
                _ => self.take_away(parent.as_fd(), &path, name),
            };
        }
        match openat2(
            parent,
            OsStr::from_bytes(name),
            DIRECTORY,
            Mode::empty(),
            BENEATH,
        ) {
            // Made by this layer, or merged: what is below it may be of others.
            Ok(directory) => self.hide_all(&directory, &path),
            Err(_) => Ok(()),
        }
    }

    /// Gives an open file to its owner. Before all else: it clears the setuid bit and capabilities.
    fn give(&self, file: impl AsFd, path: &[u8], attributes: &Attributes) -> Result<(), String> {
        match self.owner(path, attributes)? {
            Some((uid, gid)) => fchown(file, Some(uid), Some(gid))
                .map_err(|errno| self.not_owned(path, attributes, errno)),
            None => Ok(()),
        }
    }

    /// Sets extended attributes, while the file can be written to.
    fn set_xattrs(
        &self,
        file: impl AsFd,
        path: &[u8],
        xattrs: &[(Vec<u8>, Vec<u8>)],
    ) -> Result<(), String> {
        let file = file.as_fd();
        for (name, value) in xattrs.iter().filter(|(name, _)| self.takes(name)) {
            match fsetxattr(file, OsStr::from_bytes(name), value, XattrFlags::empty()) {
                // The file system has none, or none of these.
                Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {}
                Err(errno) => return Err(failed(path, errno)),
            }
        }
        Ok(())
    }

    /// Sets permissions and times, after everything else.
    fn finish(&self, file: impl AsFd, path: &[u8], attributes: &Attributes) -> Result<(), String> {
        let (file, fail) = (file.as_fd(), |errno| failed(path, errno));
        fchmod(file, Mode::from_raw_mode(attributes.mode)).map_err(fail)?;
        futimens(file, &times(attributes)).map_err(fail)
    }

    /// The same for what is no file to be opened; it has no extended attributes, and a link no mode.
    fn finish_name(
        &self,
        parent: &OwnedFd,
        name: &OsStr,
        path: &[u8],
        attributes: &Attributes,
    ) -> Result<(), String> {
        if let Some((uid, gid)) = self.owner(path, attributes)? {
            chownat(
                parent,
                name,
                Some(uid),
                Some(gid),
                AtFlags::SYMLINK_NOFOLLOW,
            )
            .map_err(|errno| self.not_owned(path, attributes, errno))?;
        }
        utimensat(parent, name, &times(attributes), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| failed(path, errno))
    }

    /// Whom a file is given to, if to anybody.
    fn owner(&self, path: &[u8], attributes: &Attributes) -> Result<Option<(Uid, Gid)>, String> {
        if *self.owners == Owners::Caller {
            return Ok(None);
        }
        let id = |id: u64| u32::try_from(id).ok().filter(|id| *id != u32::MAX);
        match (id(attributes.uid), id(attributes.gid)) {
            (Some(uid), Some(gid)) => Ok(Some((Uid::from_raw(uid), Gid::from_raw(gid)))),
            _ => Err(format!(
                "{} belongs to {}:{}, which are no ids",
                shown(path),
                attributes.uid,
                attributes.gid
            )),
        }
    }

    fn not_owned(&self, path: &[u8], of: &Attributes, errno: rustix::io::Errno) -> String {
        let Attributes { uid, gid, .. } = of;
        match errno {
            rustix::io::Errno::INVAL => format!(
                "{} belongs to {uid}:{gid}, which the caller cannot give files to: its map of ids does not hold them",
                shown(path)
            ),
            other => failed(path, other),
        }
    }

    /// Whether an extended attribute is set. Those of overlayfs would speak to an overlay above, those of
    /// security modules and of trusted programs to this machine.
    fn takes(&self, name: &[u8]) -> bool {
        match name {
            b"security.capability" => *self.owners != Owners::Caller,
            _ => name.starts_with(b"user.") && !name.starts_with(b"user.overlay."),
        }
    }
}

/// What nobody has said of a directory on the way to a member.
const UNSAID: Attributes = Attributes {
    mode: 0o755,
    uid: 0,
    gid: 0,
    mtime: (0, 0),
};

impl Name {
    fn path(&self) -> Vec<u8> {
        join(&self.parent, &self.last)
    }
}

fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() {
        return name.to_vec();
    }
    [folder, b"/", name].concat()
}

fn attributes(member: &Member) -> Attributes {
    Attributes {
        mode: member.mode,
        uid: member.uid,
        gid: member.gid,
        mtime: member.mtime,
    }
}

fn times(attributes: &Attributes) -> Timestamps {
    let (seconds, nanoseconds) = attributes.mtime;
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds.into(),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

/// Makes one directory, whose parent is there.
fn mkdirat_beneath(tree: &Tree<'_>, path: &[u8]) -> rustix::io::Result<()> {
    let at = path.iter().rposition(|byte| *byte == b'/');
    let (parent, name) = match at {
        Some(at) => (path.get(..at), path.get(at + 1..)),
        None => (Some(&b""[..]), Some(path)),
    };
    let parent = tree.open(parent.unwrap_or_default(), DIRECTORY)?;
    mkdirat(
        &parent,
        OsStr::from_bytes(name.unwrap_or_default()),
        Mode::RWXU,
    )
}

/// Copies the data of a file.
fn copy(data: &mut impl Read, file: &mut File, mut left: u64) -> io::Result<()> {
    let mut buffer = vec![0; 128 << 10];
    while left > 0 {
        let most = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let room = buffer.get_mut(..most).unwrap_or_default();
        let n = match data.read(room) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        file.write_all(room.get(..n).unwrap_or_default())?;
        left = left.saturating_sub(n as u64);
    }
    Ok(())
}

/// The names in a directory.
fn names(directory: &OwnedFd) -> rustix::io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    Ok(names)
}

/// Removes a name below a directory, with all that is below it; no link is followed.
pub(super) fn remove(parent: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<()> {
    let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return unlinkat(parent, name, AtFlags::empty());
    }
    if stat.st_mode & 0o700 != 0o700 {
        // Closed to its own owner; where that is another, it may be open to us all the same.
        let _ = rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::empty());
    }
    let directory = openat2(parent, name, LISTED, Mode::empty(), BENEATH)?;
    for name in names(&directory)? {
        remove(directory.as_fd(), OsStr::from_bytes(&name))?;
    }
    unlinkat(parent, name, AtFlags::REMOVEDIR)
}

fn desc(errno: rustix::io::Errno) -> &'static str {
    Errno::from_raw(errno.raw_os_error()).desc()
}

/// A name, for people.
fn shown(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path);
    // A sentence is no place for all of a long one.
    let short: String = text.chars().take(200).collect();
    let rest = if short.len() < text.len() { "…" } else { "" };
    format!("`{}{rest}`", crate::diag::printable(&short))
}

fn failed(path: &[u8], errno: rustix::io::Errno) -> String {
    format!("{} cannot be made: {}", shown(path), desc(errno))
}

fn failed_io(path: &[u8], error: io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => failed(path, rustix::io::Errno::from_raw_os_error(errno)),
        None => format!(
            "{}: {}",
            shown(path),
            crate::host::images::archive::unread(error)
        ),
    }
}

/// Why there is no parent.
fn below(path: &[u8], errno: rustix::io::Errno) -> String {
    match errno {
        rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR | rustix::io::Errno::XDEV => format!(
            "a member lies below {}, which is a link or no directory",
            shown(path)
        ),
        other => failed(path, other),
    }
}
