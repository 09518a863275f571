//! Which files a program needs to start: itself, its loader, the libraries that it links, and for
//! a script its interpreter. Read off the ELF files; nothing is run.

use lddtree::DependencyAnalyzer;
use std::collections::BTreeSet;
use std::io::Read as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
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
