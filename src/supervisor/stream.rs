//! Files that take the place of standard streams.

use super::Run;
use crate::host::named::{self, Refused};
use crate::plan::op::{Slot, Stream};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::os::fd::{AsFd as _, IntoRawFd as _, OwnedFd};
use std::path::Path;
use std::sync::Arc;

/// The permissions of a file that is made, as far as the umask leaves them.
const NEW: Mode = Mode::from_bits_truncate(0o666);

impl Run<'_> {
    pub(super) fn open_stream(
        &mut self,
        streams: &[Stream],
        path: &Path,
        append: bool,
        slot: Option<Slot>,
    ) -> Result<(), String> {
        let is_input = streams.contains(&0);
        let file = open(path, is_input, append).map_err(|refused| match refused {
            Refused::Missing if is_input => "there is no such file".to_owned(),
            Refused::Missing => "there is no such folder".to_owned(),
            Refused::For(why, _) => format!("it {why}"),
        })?;
        match slot {
            Some(slot) => self.put(slot, file.into_raw_fd()),
            None => {
                let file = Arc::new(OwnedFd::from(file));
                for stream in streams {
                    let place = usize::try_from(*stream - 1).ok();
                    if let Some(place) = place.and_then(|at| self.opened.get_mut(at)) {
                        *place = Some(Arc::clone(&file));
                    }
                }
            }
        }
        Ok(())
    }
}

/// A regular file, or /dev/null: what else is there could keep who opens it waiting, or have an effect. It is emptied
/// only when that is known, and not where it is written to at its end.
fn open(path: &Path, is_input: bool, append: bool) -> Result<File, Refused> {
    let is_null = path == Path::new("/dev/null");
    let flags = match (is_input, is_null) {
        (true, _) => OFlags::RDONLY,
        (false, true) => OFlags::WRONLY,
        (false, false) if append => OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND,
        (false, false) => OFlags::WRONLY | OFlags::CREATE,
    };
    let mode = if flags.contains(OFlags::CREATE) {
        NEW
    } else {
        Mode::empty()
    };
    let failed = |error: std::io::Error| {
        let help = "name a file on a file system that has room";
        Refused::For(format!("cannot be used: {error}"), help)
    };
    let file = named::open(path, flags, mode)?;
    let is_file = file.metadata().map_err(failed)?.is_file();
    if !is_file && !is_null {
        return Err(Refused::For(
            "is no regular file".into(),
            "name a regular file",
        ));
    }
    if is_file && !is_input && !append {
        file.set_len(0).map_err(failed)?;
    }
    // As a shell's redirection would have opened it.
    let flags = fcntl(file.as_fd(), FcntlArg::F_GETFL).map_err(|errno| failed(errno.into()))?;
    let flags = OFlag::from_bits_retain(flags) & !OFlag::O_NONBLOCK;
    fcntl(file.as_fd(), FcntlArg::F_SETFL(flags)).map_err(|errno| failed(errno.into()))?;
    Ok(file)
}
