//! Which files a program needs to start: itself, its loader, the libraries that it links, and for
//! a script its interpreter. Read off the ELF files; nothing is run.

use lddtree::DependencyAnalyzer;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Why the files of a program cannot be named.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// No such program in the search path.
    #[error("there is no program `{name}` in {path}")]
    NotFound {
        /// The name.
        name: String,
        /// The search path.
        path: String,
    },
    /// It cannot be read as a program.
    #[error("cannot read the program {}: {cause}", path.display())]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// A library is missing on the host.
    #[error("{} needs the library {library}, which is not on this machine", path.display())]
    MissingLibrary {
        /// The program.
        path: PathBuf,
        /// The library's name.
        library: String,
    },
}

/// A program that works for the sandbox, by the caller's search path and where administrators' programs are.
#[must_use]
pub fn helper(name: &str) -> Option<PathBuf> {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"];
    std::env::split_paths(&search)
        .chain(system.map(PathBuf::from))
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|path| {
            path.metadata()
                .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        })
}

/// The loader's index of libraries; without it only the default folders are searched (ld.so(8)).
const CACHE: &str = "/etc/ld.so.cache";

/// The files of a program, which is looked up in a search path if its name holds no `/`.
pub fn files(name: &str, search: &str) -> Result<Vec<PathBuf>, ProgramError> {
    let path = if name.contains('/') {
        PathBuf::from(name)
    } else {
        let found = search
            .split(':')
            .map(|folder| Path::new(folder).join(name))
            .find(|path| {
                path.metadata()
                    .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
            });
        found.ok_or_else(|| ProgramError::NotFound {
            name: name.into(),
            path: search.into(),
        })?
    };
    let mut all = BTreeSet::new();
    collect(&path, &mut all, 0)?;
    if Path::new(CACHE).exists() {
        all.insert(CACHE.into());
    }
    Ok(all.into_iter().collect())
}

/// What the kernel executes for a program: the interpreter that the first line of a script names, or the loader that
/// an ELF file does (execve(2)). `None` for a static program, and for what cannot be read as either.
#[must_use]
pub fn executed_for(path: &Path) -> Option<PathBuf> {
    /// As many bytes of a script's first line as the kernel reads.
    const LINE: usize = 256;
    // O_NONBLOCK: opening a FIFO would otherwise wait for somebody to write into it.
    let file = std::fs::File::options()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY)
        .open(path)
        .ok()?;
    let mut head = Vec::new();
    (&file).take(LINE as u64).read_to_end(&mut head).ok()?;
    let named = match head.strip_prefix(b"#!") {
        Some(line) => {
            let line = line.split(|byte| *byte == b'\n').next()?;
            let mut words = line.split(|byte| b" \t".contains(byte));
            words.find(|word| !word.is_empty())?.to_vec()
        }
        None => loader(&file, &head)?,
    };
    Some(OsString::from_vec(named).into())
}

/// The loader that a 64-bit ELF file of this machine's byte order names: its segment of the type PT_INTERP (elf(5)).
fn loader(file: &std::fs::File, head: &[u8]) -> Option<Vec<u8>> {
    const CLASS_64: u8 = 2;
    const PT_INTERP: u32 = 3;
    let bytes = |of: &[u8], at: usize, length: usize| {
        let mut word = [0; 8];
        let (start, _) = word.split_at_mut(length);
        start.copy_from_slice(of.get(at..at + length)?);
        Some(u64::from_le_bytes(word))
    };
    if !head.starts_with(b"\x7fELF") || head.get(4) != Some(&CLASS_64) {
        return None;
    }
    let (table, size, count) = (
        bytes(head, 32, 8)?,
        bytes(head, 54, 2)?,
        bytes(head, 56, 2)?,
    );
    (0..count).find_map(|number| {
        let mut entry = [0; 56];
        let at = table.checked_add(number * size)?;
        file.read_exact_at(&mut entry, at).ok()?;
        if bytes(&entry, 0, 4)? != u64::from(PT_INTERP) {
            return None;
        }
        let (offset, length) = (bytes(&entry, 8, 8)?, bytes(&entry, 32, 8)?);
        // PATH_MAX bounds it for the kernel, too.
        let mut name = vec![0; usize::try_from(length).ok().filter(|most| *most <= 4096)?];
        file.read_exact_at(&mut name, offset).ok()?;
        name.truncate(name.iter().position(|byte| *byte == 0)?);
        Some(name)
    })
}

fn collect(path: &Path, all: &mut BTreeSet<PathBuf>, depth: u32) -> Result<(), ProgramError> {
    let unreadable = |cause: String| ProgramError::Unreadable {
        path: path.into(),
        cause,
    };
    let path = std::path::absolute(path).map_err(|e| unreadable(e.to_string()))?;
    all.insert(path.clone());
    let mut head = [0u8; 256];
    // O_NONBLOCK: opening a FIFO would otherwise wait for somebody to write into it.
    let mut file = std::fs::File::options()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY)
        .open(&path)
        .map_err(|e| unreadable(e.to_string()))?;
    if !file.metadata().is_ok_and(|m| m.is_file()) {
        return Err(unreadable("it is not a regular file".into()));
    }
    let length = file
        .read(&mut head)
        .map_err(|e| unreadable(e.to_string()))?;
    let head = head.get(..length).unwrap_or_default();
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = line.split(|b| *b == b'\n').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        let mut words = line.split_whitespace();
        let interpreter = words.next().unwrap_or_default();
        if depth > 3 || !interpreter.starts_with('/') {
            return Err(unreadable(format!(
                "its interpreter `{interpreter}` cannot be followed"
            )));
        }
        collect(Path::new(interpreter), all, depth + 1)?;
        if interpreter.ends_with("/env")
            && let Some(program) = words.find(|word| !word.starts_with('-') && !word.contains('='))
        {
            let search = "/usr/local/bin:/usr/bin:/bin";
            all.extend(files(program, search)?);
        }
        return Ok(());
    }
    let tree = DependencyAnalyzer::new("/".into())
        .analyze(&path)
        .map_err(|e| unreadable(e.to_string()))?;
    all.extend(tree.interpreter.map(PathBuf::from));
    for (name, library) in tree.libraries {
        if !library.found() {
            return Err(ProgramError::MissingLibrary {
                path: path.clone(),
                library: name,
            });
        }
        all.insert(library.path);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_executed_for_a_program_is_read_off_it() {
        let folder = std::env::temp_dir().join(format!("sandbox-program-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let of = |contents: &[u8]| {
            let path = folder.join("program");
            std::fs::write(&path, contents).unwrap();
            executed_for(&path)
        };
        assert_eq!(of(b"#! \t/bin/sh -e\n"), Some("/bin/sh".into()));
        assert_eq!(of(b"#!\n"), None);
        assert_eq!(of(b"echo"), None);
        assert_eq!(of(b"\x7fELF\x02"), None);
        // A table of segments that lies nowhere, of as many as can be.
        let mut elf = [255; 64];
        elf[..5].copy_from_slice(b"\x7fELF\x02");
        assert_eq!(of(&elf), None);
        std::fs::remove_dir_all(&folder).unwrap();
        // This test's own loader, if it has one: a file that is there.
        let own = executed_for(&std::env::current_exe().unwrap());
        assert!(own.is_none_or(|loader| loader.exists()));
        let shell = executed_for(Path::new("/bin/sh"));
        assert!(shell.is_none_or(|loader| loader.exists()));
    }
}
