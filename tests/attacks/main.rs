//! The attacks: what a hostile command tries, each tried bare, where it has to work, and in a sandbox, where it
//! must not. An attack that fails bare too would be a test that cannot fail.
//!
//! `tests/attacks/peers` tries the same in other sandboxes, and prints who stopped what.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]
// One crate, of which nobody uses anything.
#![allow(unreachable_pub)]

/// Lists attacks: each becomes a test of its name, and an entry of `ALL` for the table of peers.
///
/// A name, what it is in words, where it works bare, and the script; then, where needed, what else there is
/// to the attack, as fields of [`Attack`](crate::attack::Attack).
macro_rules! attacks {
    ($($name:ident: $what:literal, $bare:expr, $script:literal $(, { $($field:ident: $value:expr),* $(,)? })?;)*) => {
        pub(crate) const ALL: &[crate::attack::Attack] = &[$(crate::attack::Attack {
            $($($field: $value,)*)?
            ..crate::attack::Attack::new(stringify!($name), $what, $bare, $script)
        },)*];
        $(#[test]
        fn $name() {
            crate::attack::blocked(ALL.iter().find(|attack| attack.name == stringify!($name)).unwrap());
        })*
    };
}

#[path = "../promises/support.rs"]
#[allow(dead_code)]
mod promises;

mod attack;
mod calls;
mod files;
mod inherited;
mod kernel_files;
mod network;
mod peers;
mod processes;
mod resources;
mod runners;
mod setup;
mod stage;
mod terminal;

/// Every class of attack, with its attacks.
const CLASSES: &[(&str, &[attack::Attack])] = &[
    ("set-up races and path confusion", setup::ALL),
    ("the root and the file system", files::ALL),
    ("procfs, sysfs, cgroupfs", kernel_files::ALL),
    ("descriptors, environment, identity", inherited::ALL),
    ("processes and lifetime", processes::ALL),
    ("terminal", terminal::ALL),
    ("network, sockets, IPC, keys", network::ALL),
    ("system calls and kernel surface", calls::ALL),
    ("resources", resources::ALL),
];

/// The threat model names tests: they are there.
#[test]
fn the_threat_model_names_tests_that_are_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = std::env::var_os("CARGO_MANIFEST_DIR").map_or(root.into(), std::path::PathBuf::from);
    let text = std::fs::read_to_string(root.join("docs/threats.md")).unwrap();
    let known: std::collections::BTreeSet<&str> = CLASSES
        .iter()
        .flat_map(|(_, attacks)| attacks.iter().map(|attack| attack.name))
        .collect();
    let mut promises = String::new();
    let mut folders = vec![root.join("tests/promises")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => promises += &std::fs::read_to_string(path).unwrap(),
            }
        }
    }
    let names = text.split('`').skip(1).step_by(2);
    let names: Vec<&str> = names
        .filter(|name| name.matches('_').count() > 2 && !name.contains('/'))
        .collect();
    assert!(names.len() > 30, "{names:?}");
    for name in names {
        let there = known.contains(name) || promises.contains(&format!("fn {name}()"));
        assert!(there, "{name} is no test");
    }
}
