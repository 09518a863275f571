//! Takes changes over into the tree: each file written aside and renamed into its place, so that it is
//! there whole, as it was or as it is to be.
//!
//! Every path is walked from the tree's own descriptor, component by component and without following a link:
//! what somebody else puts there meanwhile leads nowhere. What was done already is no change any more, so
//! that what was interrupted can be done again.

use super::compare::{Aspect, Change, Changes, What, within};
use super::entry::{Folder, Kind, Look};
use super::removal;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, SFlag, UtimensatFlags, mkdirat, mknodat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, linkat, symlinkat, unlinkat};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// What a file is called until it is whole.
const ASIDE: &CStr = c".sandbox-apply";

/// The setuid and the setgid bit.
const PRIVILEGES: u32 = 0o6000;

/// The attribute of file capabilities.
const CAPABILITIES: &[u8] = b"security.capability";

/// Why something was not taken over.
#[derive(Debug)]
pub struct Failed {
    /// What.
    pub path: PathBuf,
    /// Why.
    pub why: String,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Applied {
    /// How many changes were taken over.
    pub done: usize,
    /// What was taken over without: setuid and setgid bits, file capabilities.
    pub without: Vec<(PathBuf, &'static str)>,
    /// What was not.
    pub failed: Vec<Failed>,
}

/// What is taken over that is not by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Permit {
    /// Setuid and setgid bits of files, and file capabilities.
    pub privileges: bool,
    /// Device files.
    pub devices: bool,
    /// What would be overwritten that was changed in the tree since.
    pub conflicts: bool,
}

/// Takes all changes over, as far as it can.
#[must_use]
pub fn apply(changes: &Changes, permit: Permit) -> Applied {
    let mut run = Run {
        changes,
        permit,
        applied: Applied::default(),
        opened: BTreeMap::new(),
    };
    let blocked: BTreeSet<&Path> = changes
        .list
        .iter()
        .filter(|change| change.conflict.is_some() && !permit.conflicts)
        .map(|change| change.path.as_path())
        .collect();
    for change in &changes.list {
        let above = change
            .path
            .ancestors()
            .find(|above| blocked.contains(above));
        if above.is_some() {
            let why = change
                .conflict
                .unwrap_or("the directory that it is in was not taken over");
            run.fail(&change.path, why.into());
            continue;
        }
        match run.take(change) {
            Ok(()) => run.applied.done += 1,
            Err(why) => run.fail(&change.path, why),
        }
    }
    // Directories last, and the deepest first: what is in them is written by then.
    for change in changes.list.iter().rev() {
        if matches!(&change.after, Some(after) if after.kind == Kind::Directory)
            && !run
                .applied
                .failed
                .iter()
                .any(|failed| failed.path == change.path)
            && let Err(errno) = run.finish(change)
        {
            run.fail(&change.path, errno.desc().into());
        }
    }
    for (path, mode) in std::mem::take(&mut run.opened) {
        let closed = run
            .place(&path)
            .and_then(|(folder, name)| removal::set_mode(folder.fd(), &name, mode));
        if let Err(errno) = closed
            && errno != Errno::ENOENT
        {
            run.fail(&path, errno.desc().into());
        }
    }
    run.applied
}

struct Run<'c> {
    changes: &'c Changes,
    permit: Permit,
    applied: Applied,
    /// Directories that were opened for their owner to write to, and their modes.
    opened: BTreeMap<PathBuf, u32>,
}

fn words(errno: Errno) -> String {
    errno.desc().into()
}

impl Run<'_> {
    fn fail(&mut self, path: &Path, why: String) {
        self.applied.failed.push(Failed {
            path: path.into(),
            why,
        });
    }

    fn place(&self, path: &Path) -> nix::Result<(Folder, CString)> {
        within(&self.changes.tree, path)
    }

    /// The folder of a path in the tree, to be written to.
    fn writable(&mut self, path: &Path) -> nix::Result<(Folder, CString)> {
        let parent = path.parent().unwrap_or(Path::new(""));
        for above in parent.ancestors().collect::<Vec<_>>().into_iter().rev() {
            if above.as_os_str().is_empty() {
                continue;
            }
            let (folder, name) = self.place(above)?;
            let look = folder.look(&name)?.ok_or(Errno::ENOENT)?;
            if look.kind != Kind::Directory {
                return Err(Errno::ENOTDIR);
            }
            let mine = look.uid == nix::unistd::geteuid().as_raw();
            if mine && look.mode & 0o700 != 0o700 && !self.opened.contains_key(above) {
                removal::set_mode(folder.fd(), &name, look.mode | 0o700)?;
                self.opened.insert(above.into(), look.mode);
            }
        }
        self.place(path)
    }

    fn take(&mut self, change: &Change) -> Result<(), String> {
        let Some(after) = &change.after else {
            let (folder, name) = self.writable(&change.path).map_err(words)?;
            return removal::remove(folder.fd(), &name).map_err(words);
        };
        if matches!(after.kind, Kind::Character(_) | Kind::Block(_)) && !self.permit.devices {
            return Err("it is a device file: `--devices` takes it over".into());
        }
        if change.path == Path::new(".") {
            return Ok(());
        }
        let (folder, name) = self.writable(&change.path).map_err(words)?;
        let anew = [Aspect::Link, Aspect::Contents]
            .iter()
            .any(|aspect| change.aspects.contains(aspect));
        if let Some(first) = &change.same_as
            && anew
        {
            let (of, first) = self.place(first).map_err(words)?;
            removal::remove(folder.fd(), ASIDE).map_err(words)?;
            let flags = AtFlags::empty();
            linkat(of.fd(), first.as_c_str(), folder.fd(), ASIDE, flags).map_err(words)?;
            return self.settle(Ok(()), &folder, &name, None).map_err(words);
        }
        if change.same_as.is_some() {
            // Its first name is the same file, and has been changed.
            return Ok(());
        }
        match &after.kind {
            Kind::Directory => self.directory(change, &folder, &name).map_err(words),
            // All but the contents is changed in its place: other names of the file stay what they are.
            Kind::File
                if !change.aspects.contains(&Aspect::Contents)
                    && matches!(change.what, What::Modified | What::Touched) =>
            {
                let file = folder.file(&name).map_err(words)?;
                self.dress(&file, change, after).map_err(words)
            }
            Kind::File => self.file(change, after, &folder, &name).map_err(words),
            other => self
                .special(other, change, after, &folder, &name)
                .map_err(words),
        }
    }

    /// Makes room where what is there cannot be replaced by a rename.
    fn room(folder: &Folder, name: &CStr, kind: Option<&Kind>) -> nix::Result<()> {
        let there = folder.look(name)?;
        match there.map(|there| there.kind) {
            Some(Kind::Directory) if kind != Some(&Kind::Directory) => {
                removal::remove(folder.fd(), name)
            }
            Some(other) if other != Kind::Directory && kind == Some(&Kind::Directory) => {
                unlinkat(folder.fd(), name, UnlinkatFlags::NoRemoveDir)
            }
            _ => Ok(()),
        }
    }

    /// Puts what was made aside into its place, if it is whole. Until then, what is there stays.
    fn settle(
        &self,
        made: nix::Result<()>,
        folder: &Folder,
        name: &CStr,
        kind: Option<&Kind>,
    ) -> nix::Result<()> {
        let settled = made
            .and_then(|()| Self::room(folder, name, kind))
            .and_then(|()| renameat(folder.fd(), ASIDE, folder.fd(), name));
        // Of two names of one file, rename(2) leaves both.
        let rest = removal::remove(folder.fd(), ASIDE);
        settled.and(rest)
    }

    fn directory(&mut self, change: &Change, folder: &Folder, name: &CStr) -> nix::Result<()> {
        match folder.look(name)? {
            Some(there) if there.kind == Kind::Directory => match change.what {
                What::Modified => Ok(()),
                _ => Err(Errno::EEXIST),
            },
            _ => {
                removal::remove(folder.fd(), ASIDE)?;
                let made = mkdirat(folder.fd(), ASIDE, Mode::S_IRWXU);
                self.settle(made, folder, name, Some(&Kind::Directory))
            }
        }
    }

    /// Gives a directory its final mode, owner and times.
    fn finish(&mut self, change: &Change) -> nix::Result<()> {
        let Some(after) = &change.after else {
            return Ok(());
        };
        let (folder, name) = self.place(&change.path)?;
        let opened = folder.folder(&name).or_else(|errno| match errno {
            Errno::EACCES => {
                removal::set_mode(folder.fd(), &name, after.mode & !PRIVILEGES | 0o700)?;
                folder.folder(&name)
            }
            other => Err(other),
        })?;
        // It is what it is to be: not what it was.
        self.opened.remove(&change.path);
        let file = File::from(opened.fd().try_clone().map_err(|_| Errno::EMFILE)?);
        self.dress(&file, change, after)
    }

    fn file(
        &mut self,
        change: &Change,
        after: &Look,
        folder: &Folder,
        name: &CStr,
    ) -> nix::Result<()> {
        let (aside, own) = self.changes.aside(&change.path)?;
        let mut from = aside.file(&own)?;
        removal::remove(folder.fd(), ASIDE)?;
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let made = openat(folder.fd(), ASIDE, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
        let mut to = File::from(made);
        let written = std::io::copy(&mut from, &mut to)
            .map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO)))
            .and_then(|_| self.dress(&to, change, after));
        drop(to);
        self.settle(written, folder, name, Some(&Kind::File))
    }

    /// Owner, attributes, mode and times, in this order: a change of owner clears setuid bits.
    fn dress(&mut self, file: &File, change: &Change, after: &Look) -> nix::Result<()> {
        let now = nix::sys::stat::fstat(file)?;
        if (now.st_uid, now.st_gid) != (after.uid, after.gid) && change.path != Path::new(".") {
            let (uid, gid) = (Uid::from_raw(after.uid), Gid::from_raw(after.gid));
            nix::unistd::fchown(file, Some(uid), Some(gid))?;
        }
        let errno = |e: rustix::io::Errno| Errno::from_raw(e.raw_os_error());
        let before = change
            .before
            .as_ref()
            .filter(|_| change.what != What::Replaced);
        let kept = before.filter(|_| !change.aspects.contains(&Aspect::Contents));
        for name in kept.into_iter().flat_map(|before| before.attributes.keys()) {
            if !after.attributes.contains_key(name) {
                let name = CString::new(name.clone()).map_err(|_| Errno::EINVAL)?;
                rustix::fs::fremovexattr(file, name.as_c_str()).map_err(errno)?;
            }
        }
        for (name, value) in &after.attributes {
            if name == CAPABILITIES && !self.permit.privileges {
                self.applied
                    .without
                    .push((change.path.clone(), "file capabilities"));
                continue;
            }
            let name = CString::new(name.clone()).map_err(|_| Errno::EINVAL)?;
            let flags = rustix::fs::XattrFlags::empty();
            rustix::fs::fsetxattr(file, name.as_c_str(), value, flags).map_err(errno)?;
        }
        let mut mode = after.mode;
        let had = before.map_or(0, |before| before.mode);
        // The setgid bit of a directory gives nobody anything but a group.
        let new = mode & PRIVILEGES & !had;
        if after.kind != Kind::Directory && new != 0 && !self.permit.privileges {
            mode &= !new;
            self.applied
                .without
                .push((change.path.clone(), "setuid or setgid"));
        }
        nix::sys::stat::fchmod(file, Mode::from_bits_truncate(mode))?;
        let time = TimeSpec::new(after.modified.0, after.modified.1);
        nix::sys::stat::futimens(file, &TimeSpec::UTIME_OMIT, &time)
    }

    fn special(
        &mut self,
        kind: &Kind,
        change: &Change,
        after: &Look,
        folder: &Folder,
        name: &CStr,
    ) -> nix::Result<()> {
        removal::remove(folder.fd(), ASIDE)?;
        let made = self.make_special(kind, change, after, folder);
        self.settle(made, folder, name, Some(kind))
    }

    fn make_special(
        &mut self,
        kind: &Kind,
        change: &Change,
        after: &Look,
        folder: &Folder,
    ) -> nix::Result<()> {
        let device = |flag, number| mknodat(folder.fd(), ASIDE, flag, Mode::empty(), number);
        match kind {
            Kind::Link(to) => symlinkat(OsStr::from_bytes(to), folder.fd(), ASIDE)?,
            Kind::Pipe => device(SFlag::S_IFIFO, 0)?,
            Kind::Socket => device(SFlag::S_IFSOCK, 0)?,
            Kind::Character(number) => device(SFlag::S_IFCHR, *number)?,
            Kind::Block(number) => device(SFlag::S_IFBLK, *number)?,
            Kind::File | Kind::Directory => return Err(Errno::EINVAL),
        }
        let made = folder.look(ASIDE)?.ok_or(Errno::ENOENT)?;
        let nofollow = AtFlags::AT_SYMLINK_NOFOLLOW;
        if (made.uid, made.gid) != (after.uid, after.gid) {
            let (uid, gid) = (Uid::from_raw(after.uid), Gid::from_raw(after.gid));
            fchownat(folder.fd(), ASIDE, Some(uid), Some(gid), nofollow)?;
        }
        if !matches!(kind, Kind::Link(_)) {
            if after.mode & PRIVILEGES != 0 {
                self.applied
                    .without
                    .push((change.path.clone(), "setuid or setgid"));
            }
            removal::set_mode(folder.fd(), ASIDE, after.mode & !PRIVILEGES)?;
        }
        let time = TimeSpec::new(after.modified.0, after.modified.1);
        let flag = UtimensatFlags::NoFollowSymlink;
        utimensat(folder.fd(), ASIDE, &TimeSpec::UTIME_OMIT, &time, flag)
    }
}
