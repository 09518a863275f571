//! The kinds of projects that `sandbox init` knows, by the names of their files.

/// A kind of project.
#[derive(Debug)]
pub(super) struct Kind {
    /// What it is called.
    pub(super) name: &'static str,
    /// The files by which it is known: one is enough.
    pub(super) marks: &'static [&'static str],
    /// The built-in profile that grants what its tools need.
    pub(super) profile: &'static str,
    /// What has to be fetched before, outside, since there is no network inside.
    pub(super) before: Option<&'static str>,
    /// What is usually run.
    pub(super) command: &'static str,
}

/// The kinds, in the order in which they are listed.
pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "configure",
        marks: &["configure"],
        profile: "build",
        before: None,
        command: "sh -c './configure && make'",
    },
    Kind {
        name: "CMake",
        marks: &["CMakeLists.txt"],
        profile: "build",
        before: None,
        command: "sh -c 'cmake -B build && cmake --build build'",
    },
    Kind {
        name: "Meson",
        marks: &["meson.build"],
        profile: "build",
        before: None,
        command: "sh -c 'meson setup build && meson compile -C build'",
    },
    Kind {
        name: "make",
        marks: &["GNUmakefile", "makefile", "Makefile"],
        profile: "build",
        before: None,
        command: "make",
    },
    Kind {
        name: "Rust",
        marks: &["Cargo.toml"],
        profile: "cargo",
        before: Some("cargo fetch"),
        command: "cargo test",
    },
    Kind {
        name: "Python",
        marks: &[
            "pyproject.toml",
            "setup.py",
            "setup.cfg",
            "requirements.txt",
        ],
        profile: "python",
        before: None,
        command: "python3 -m pytest",
    },
    Kind {
        name: "Node.js",
        marks: &["package.json"],
        profile: "node",
        before: Some("npm ci"),
        command: "npm test",
    },
    Kind {
        name: "Go",
        marks: &["go.mod"],
        profile: "go",
        before: Some("go mod download"),
        command: "go test ./...",
    },
];

impl Kind {
    /// The first of its files for which `there` holds.
    pub(super) fn mark(&self, there: impl Fn(&str) -> bool) -> Option<&'static str> {
        self.marks.iter().copied().find(|mark| there(mark))
    }
}
