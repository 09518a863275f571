//! What is where inside, that nothing of it shows on the host, and that nothing of it stays there.

use crate::live::{HOLD, Live, Mount, mount_table};
use crate::support::{Project, done, install, is_root, mounts, program, skip};
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// The mount table inside, after a script that must succeed in silence.
#[track_caller]
fn table(project: &Project, profile: &str, script: &str) -> BTreeMap<String, Mount> {
    let script = format!("{{ {script}\n}} && cat /proc/self/mountinfo");
    mount_table(&project.run(profile, &script).ok())
}

fn mount(lines: &[&str]) -> String {
    format!("[[mounts]]\n{}\n", lines.join("\n"))
}

fn profile(mounts: &[&[&str]]) -> String {
    let mounts: String = mounts.iter().map(|lines| mount(lines)).collect();
    format!("version = 1\n{mounts}")
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn binds_show_files_and_directories_read_only_or_writable() {
    let project = Project::new();
    let source = Project::new();
    source.write("tree/file", "text\n");
    let tree = format!("source = \"{}/tree\"", shown(source.path()));
    let file = format!("source = \"{}/tree/file\"", shown(source.path()));
    let profile = profile(&[
        &["type = \"bind\"", "target = \"/data/ro\"", &tree],
        &[
            "type = \"bind\"",
            "target = \"/data/rw\"",
            "read_only = false",
            &tree,
        ],
        &[
            "type = \"bind\"",
            "target = \"/data/file\"",
            "noexec = true",
            &file,
        ],
        &[
            "type = \"bind\"",
            "target = \"/data/free\"",
            "nosuid = false",
            "nodev = false",
            &tree,
        ],
    ]);
    let script = "cat /data/ro/file /data/file && echo more > /data/rw/made &&
        ! touch /data/ro/made2 2>/dev/null && ! sh -c ': >> /data/file' 2>/dev/null";
    let run = project
        .run(
            &profile,
            &format!("{{ {script}\n}} && cat /proc/self/mountinfo"),
        )
        .ok();
    let found = mount_table(run.strip_prefix("text\ntext\n").unwrap());
    found["/data/ro"]
        .has(&["ro", "nosuid", "nodev"])
        .lacks(&["noexec"]);
    found["/data/rw"].has(&["rw", "nosuid", "nodev"]);
    found["/data/file"].has(&["ro", "nosuid", "nodev", "noexec"]);
    found["/data/free"].has(&["ro"]).lacks(&["nosuid", "nodev"]);
    let made = source.path().join("tree/made").metadata().unwrap();
    assert_eq!(made.uid(), nix::unistd::geteuid().as_raw());
}

#[test]
fn a_source_without_a_path_is_the_target_and_a_relative_one_is_in_the_project() {
    let project = Project::new();
    project.write("some/file", "mine\n");
    let profile = profile(&[
        &[
            "type = \"bind\"",
            "target = \"/var/lib/dpkg\"",
            "optional = true",
        ],
        &["type = \"bind\"", "target = \"/data\"", "source = \"some\""],
    ]);
    assert_eq!(project.run(&profile, "cat /data/file").ok(), "mine\n");
}

#[test]
fn a_tmpfs_has_its_size_inodes_mode_and_flags() {
    let project = Project::new();
    let profile = profile(&[
        &[
            "type = \"tmpfs\"",
            "target = \"/scratch\"",
            "size = \"2M\"",
            "inodes = 50",
            "mode = \"1770\"",
            "noexec = true",
        ],
        &["type = \"tmpfs\"", "target = \"/plain\""],
        &[
            "type = \"tmpfs\"",
            "target = \"/still\"",
            "read_only = true",
        ],
    ]);
    let script = "[ $(stat -c %a /scratch) = 1770 ] && [ $(stat -c %a /plain) = 755 ] &&
        echo '#!/bin/sh' > /scratch/run && chmod +x /scratch/run && ! /scratch/run 2>/dev/null &&
        echo '#!/bin/sh' > /plain/run && chmod +x /plain/run && /plain/run &&
        ! head -c 3000000 /dev/zero 2>/dev/null > /scratch/big &&
        ! touch /still/made 2>/dev/null";
    let script = script.replace(
        "! head -c 3000000 /dev/zero 2>/dev/null > /scratch/big",
        "! dd if=/dev/zero of=/scratch/big bs=1M count=3 2>/dev/null",
    );
    let found = table(&project, &profile, &script);
    found["/scratch"].has(&[
        "rw",
        "nosuid",
        "nodev",
        "noexec",
        "size=2048k",
        "nr_inodes=50",
        "mode=1770",
    ]);
    found["/plain"]
        .has(&[
            "rw",
            "nosuid",
            "nodev",
            "size=1048576k",
            "nr_inodes=1048576",
        ])
        .lacks(&["noexec"]);
    found["/still"].has(&["ro", "nosuid", "nodev"]);
    assert_eq!(found["/scratch"].kind, "tmpfs");
}

#[test]
fn the_kernels_file_systems_are_mounted_inert() {
    let project = Project::new();
    let profile = profile(&[
        &["type = \"sysfs\"", "target = \"/sys\""],
        &["type = \"proc\"", "target = \"/opt/proc\""],
        &["type = \"devpts\"", "target = \"/opt/pts\""],
        &["type = \"mqueue\"", "target = \"/dev/mqueue\""],
        &["type = \"cgroup\"", "target = \"/sys/fs/cgroup\""],
    ]);
    let script =
        "[ -e /sys/class/net/lo ] && [ -e /opt/pts/ptmx ] && [ -n \"$(ls /sys/fs/cgroup)\" ] &&
        [ \"$(cat /opt/proc/self/comm)\" = cat ] && ! [ -e /sys/class/net/eth0 ]";
    let found = table(&project, &profile, script);
    let kinds: Vec<_> = ["/sys", "/opt/proc", "/opt/pts", "/dev/mqueue"]
        .iter()
        .map(|point| found[*point].has(&["nosuid", "noexec"]).kind.as_str())
        .collect();
    assert_eq!(kinds, ["sysfs", "proc", "devpts", "mqueue"]);
    found["/sys"].has(&["ro", "nodev"]);
    found["/proc"].has(&["nosuid", "nodev", "noexec"]);
    found["/opt/pts"].has(&["ptmxmode=666"]).lacks(&["nodev"]);
    let groups: Vec<_> = found
        .values()
        .filter(|m| m.kind.starts_with("cgroup"))
        .collect();
    assert!(!groups.is_empty());
    for group in groups {
        group.has(&["ro", "nosuid", "nodev", "noexec"]);
    }
}

#[test]
fn the_cgroup_tree_inside_begins_at_the_sandboxs_own_group() {
    let test = "the_cgroup_tree_inside_begins_at_the_sandboxs_own_group";
    if crate::live::without_limits(test) {
        return;
    }
    let project = Project::new();
    let text =
        "version = 1\n[limits]\npids = 33\n[[mounts]]\ntype = \"cgroup\"\ntarget = \"/cgroup\"";
    let script = "cat /cgroup/pids/pids.max 2>/dev/null || cat /cgroup/pids.max
        grep -h pids /proc/self/cgroup | cut -d: -f3";
    let run = project.run(text, script).ok();
    assert!(run == "33\n/\n" || run == "33\n", "{run}");
}

#[test]
fn proc_is_reduced() {
    let project = Project::new();
    let strong =
        "[user]\nuid_map = \"root\"\n[capabilities]\nkeep = [\"all\"]\n[seccomp]\npreset = \"off\"";
    for tables in ["", strong] {
        let script = "for file in kcore keys kallsyms timer_list; do
                head -c 1 /proc/$file 2>/dev/null | grep -q . && echo readable $file
            done
            sh -c 'echo 1 > /proc/sys/kernel/hostname' 2>/dev/null && echo writable sys
            cd /proc
            for file in sysrq-trigger irq/default_smp_affinity bus/pci/*/* bus/input/devices; do
                sh -c \": > $file\" 2>/dev/null && echo writable $file
            done
            [ -e /proc/self/status ] || echo nothing
            cat /proc/self/mountinfo";
        let run = project.run(&format!("version = 1\n{tables}"), script).ok();
        let found = mount_table(&run);
        found["/proc/sys"].has(&["ro", "nosuid", "nodev", "noexec"]);
        if Path::new("/proc/fs").exists() {
            found["/proc/fs"].has(&["ro"]);
        }
        // The rest is writable by an owner alone who has no id inside, and is covered where that is not so.
        for name in ["sysrq-trigger", "irq", "bus"] {
            if let Some(mount) = found.get(&format!("/proc/{name}")) {
                mount.has(&["ro"]);
            }
        }
    }
}

#[test]
fn files_links_directories_and_masks_are_as_declared() {
    let project = Project::new();
    project.write("secret/inner", "hidden");
    project.write("secret.txt", "hidden");
    let folder = shown(project.path());
    let profile = profile(&[
        &[
            "type = \"file\"",
            "target = \"/opt/a/file\"",
            "contents = \"declared\\n\"",
        ],
        &[
            "type = \"file\"",
            "target = \"/opt/a/script\"",
            "contents = \"#!/bin/sh\\necho ran\\n\"",
            "mode = \"755\"",
        ],
        &[
            "type = \"symlink\"",
            "target = \"/opt/a/link\"",
            "to = \"file\"",
        ],
        &[
            "type = \"directory\"",
            "target = \"/opt/a/made\"",
            "mode = \"711\"",
        ],
        &["type = \"mask\"", &format!("target = \"{folder}/secret\"")],
        &[
            "type = \"mask\"",
            &format!("target = \"{folder}/secret.txt\""),
        ],
    ]);
    let script = "cat /opt/a/file; /opt/a/script; readlink /opt/a/link; cat /opt/a/link
        stat -c %a /opt/a/file /opt/a/script /opt/a/made
        cat secret.txt 2>/dev/null; ls secret 2>/dev/null; cat secret/inner 2>/dev/null
        sh -c 'echo x > secret.txt' 2>/dev/null; touch secret/made 2>/dev/null
        sh -c 'echo x >> /opt/a/file' 2>/dev/null
        touch /opt/a/made/x 2>/dev/null; grep /opt/a/file /proc/self/mountinfo | cut -d' ' -f6";
    let run = project.run(&profile, script);
    let expected = "declared\nran\nfile\ndeclared\n644\n755\n711\n";
    let rest = run
        .stdout
        .strip_prefix(expected)
        .unwrap_or_else(|| panic!("{run:?}"));
    assert!(rest.starts_with("ro,nosuid,nodev"), "{rest}");
    assert_eq!(rest.lines().count(), 1, "{rest}");
    let secret = project.path().join("secret");
    assert_eq!(
        std::fs::read_to_string(secret.join("inner")).unwrap(),
        "hidden"
    );
    assert_eq!(
        std::fs::read_to_string(project.path().join("secret.txt")).unwrap(),
        "hidden"
    );
    assert_eq!(std::fs::read_dir(secret).unwrap().count(), 1);
}

#[test]
fn a_mount_inside_is_not_in_the_hosts_table() {
    let project = Project::new();
    let name = format!("/sandbox-test-scratch-{}", std::process::id());
    let target = format!("target = \"{name}\"");
    let profile = profile(&[&["type = \"tmpfs\"", &target]]);
    let live = Live::script(&project, &profile, &format!("touch {name}/made; {HOLD}"));
    let theirs = std::fs::read_to_string(format!("/proc/{}/mountinfo", live.command())).unwrap();
    assert!(theirs.contains(&name));
    let folder = shown(project.path());
    assert!(theirs.contains(folder));
    assert!(
        !mounts()
            .iter()
            .any(|line| line.contains(&name) || line.contains(folder))
    );
    assert!(!Path::new(&name).exists());
    live.go(&project).ok();
    assert!(
        !mounts()
            .iter()
            .any(|line| line.contains(&name) || line.contains(folder))
    );
    // Nor does a mount that is made on the host later show inside: nothing propagates.
    assert!(!theirs.contains("shared:"), "{theirs}");
    assert!(!theirs.contains("master:"), "{theirs}");
}

/// systemd makes every mount of a machine shared: a copy of one hands on what is mounted below it.
#[test]
fn a_mount_in_a_shared_mount_of_the_host_does_not_show_there() {
    if !is_root() {
        return skip(
            "a_mount_in_a_shared_mount_of_the_host_does_not_show_there",
            "only root can make a shared mount",
        );
    }
    let project = Project::new();
    let shared = project.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    let shared = shared.to_str().unwrap();
    // A plain tmpfs takes a map of owners; of what cannot have one, a copy is made in another way.
    for file_system in ["tmpfs", "ramfs"] {
        let bind = format!("target = \"{shared}\"\nread_only = false");
        let profile = format!(
            "{}\n[enforce]\nidmap = \"prefer\"",
            profile(&[
                &["type = \"bind\"", &bind],
                &["type = \"tmpfs\"", &format!("target = \"{shared}/below\"")],
                // Its mount point is there, and is no mount of the host.
                &["type = \"tmpfs\"", &format!("target = \"{shared}/there\"")],
            ])
        );
        project.write("sandbox.toml", profile);
        let script = format!(
            "set -e
            mount -t {file_system} none {shared}
            mount --make-shared {shared}
            mkdir {shared}/there
            chmod 777 {shared}
            {program} --profile sandbox.toml -- touch {shared}/below/x {shared}/there/x {shared}/made 2>said
            ls {shared}
            grep -c {shared} /proc/self/mountinfo",
            program = program().display(),
        );
        let mut command = std::process::Command::new("unshare");
        let propagation = ["--mount", "--propagation", "private", "sh", "-c", &script];
        command.args(propagation).current_dir(project.path());
        assert_eq!(done(&mut command).ok(), "made\nthere\n1\n", "{file_system}");
    }
}

#[test]
fn the_root_of_the_command_is_the_new_root_as_seen_from_outside() {
    let project = Project::new();
    let live = Live::script(&project, "version = 1", HOLD);
    let root = PathBuf::from(format!("/proc/{}/root", live.command()));
    assert!(root.join("usr/bin/env").exists());
    assert!(root.join("proc/1").exists());
    assert!(!root.join("boot").exists() && !root.join("srv").exists());
    let file = root
        .join(project.path().strip_prefix("/").unwrap())
        .join("ready");
    assert!(file.exists());
    let (theirs, ours) = (root.metadata().unwrap(), Path::new("/").metadata().unwrap());
    assert_ne!((theirs.dev(), theirs.ino()), (ours.dev(), ours.ino()));
    live.go(&project).ok();
}

#[test]
fn the_hosts_root_is_read_only_and_without_what_is_private() {
    let project = Project::new();
    let script = "for path in /made /usr/made /etc/made /opt/made /dev/made /run/made /bin/made; do
            touch $path 2>/dev/null && echo \"$path is writable\"
        done
        echo /*";
    let run = project.run("version = 1", script).ok();
    let names: Vec<_> = run.trim().split(' ').collect();
    for name in ["/usr", "/etc", "/bin", "/proc", "/dev", "/tmp"] {
        assert!(names.contains(&name), "{run}");
    }
    for name in ["/boot", "/home", "/mnt", "/srv", "/media", "/sys"] {
        let home = std::env::var("HOME").unwrap_or_default();
        if !home.starts_with(name) && !shown(project.path()).starts_with(name) {
            assert!(!names.contains(&name), "{run}");
        }
    }
    assert!(!run.contains("writable"), "{run}");
    let found = table(&project, "version = 1", "true");
    for mount in found.values() {
        mount.has(&["nosuid"]);
        let device = mount.point.starts_with("/dev/");
        assert!(
            device || mount.attributes.iter().any(|w| w == "nodev"),
            "{mount:?}"
        );
    }
    found["/"].has(&["ro"]);
    found["/usr"].has(&["ro"]);
}

#[test]
fn the_home_is_empty_and_secrets_in_it_are_invisible() {
    let project = Project::new();
    let home = Project::new();
    home.write(".ssh/id_ed25519", "secret");
    home.write(".aws/credentials", "secret");
    home.write(".bash_history", "secret");
    let script = "ls -A \"$HOME\"; cat \"$HOME/.ssh/id_ed25519\" 2>/dev/null; \
        stat -c %a \"$HOME\"; touch \"$HOME/made\" && echo writable";
    let mut command = project.script("version = 1", script);
    command.env("HOME", home.path());
    assert_eq!(done(&mut command).ok(), "700\nwritable\n");
    assert!(!home.path().join("made").exists());
    // The real homes are no more visible.
    let script = "for home in /root /home/*; do ls -A $home 2>/dev/null; done; true";
    let other = project
        .script("version = 1", script)
        .env("HOME", home.path())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&other.stdout), "");
}

#[test]
fn tmp_is_private() {
    let project = Project::new();
    let host = Project::new();
    let outside = host.write("outside", "text");
    let name = format!("/tmp/sandbox-test-private-{}", std::process::id());
    let script = format!(
        "touch {name} /dev/shm/made; cat {} 2>/dev/null; {HOLD}",
        outside.display()
    );
    let live = Live::script(&project, "version = 1", &script);
    assert!(!Path::new(&name).exists());
    assert!(!Path::new("/dev/shm/made").exists());
    assert_eq!(live.go(&project).ok(), "");
}

#[test]
fn the_project_is_shown_as_declared() {
    let project = Project::new();
    project.write("file", "text\n");
    let run = |choice: &str| {
        let profile = format!("version = 1\n[rootfs]\nproject = \"{choice}\"");
        let file = project.path().join("file");
        let script = format!(
            "pwd; cat {0} 2>&1; touch {0}2 2>/dev/null && echo wrote",
            file.display()
        );
        project.run(&profile, &script).stdout
    };
    let folder = shown(project.path());
    assert_eq!(run("write"), format!("{folder}\ntext\nwrote\n"));
    std::fs::remove_file(project.path().join("file2")).unwrap();
    assert_eq!(run("read"), format!("{folder}\ntext\n"));
    let hidden = run("hide");
    assert!(
        hidden.starts_with("/\n") && hidden.contains("No such file"),
        "{hidden}"
    );
    assert!(!project.path().join("file2").exists());
}

#[test]
fn mount_points_made_in_the_project_are_gone_afterwards() {
    let project = Project::new();
    project.write("kept/file", "text");
    let folder = shown(project.path());
    let targets = [
        format!("target = \"{folder}/node_modules/deep\""),
        format!("target = \"{folder}/config.txt\""),
        format!("target = \"{folder}/kept\""),
        format!("target = \"{folder}/kept/below\""),
    ];
    let profile = profile(&[
        &["type = \"tmpfs\"", &targets[0]],
        &["type = \"file\"", "contents = \"declared\\n\"", &targets[1]],
        &["type = \"tmpfs\"", &targets[2]],
        &["type = \"tmpfs\"", &targets[3]],
    ]);
    let script = "touch node_modules/deep/made kept/made kept/below/made; cat config.txt";
    let before = names(project.path());
    let expected: Vec<String> = before
        .iter()
        .cloned()
        .chain(["sandbox.toml".into()])
        .collect();
    for script in [
        script.to_owned(),
        format!("{script}; exit 3"),
        format!("{script}; kill -9 $$"),
    ] {
        let run = project.run(&profile, &script);
        assert_eq!(
            (run.stdout.as_str(), run.stderr.as_str()),
            ("declared\n", ""),
            "{run:?}"
        );
        let mut expected = expected.clone();
        expected.sort();
        assert_eq!(names(project.path()), expected);
    }
    assert_eq!(
        std::fs::read_to_string(project.path().join("kept/file")).unwrap(),
        "text"
    );
}

/// Every path below a folder.
fn names(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.symlink_metadata().unwrap().is_dir() {
            // A mount point has no permission to be listed by others than its owner.
            found.extend(
                names(&path)
                    .into_iter()
                    .map(|below| format!("{name}/{below}")),
            );
        }
        found.push(name);
    }
    found.sort();
    found
}

#[test]
fn a_mount_point_left_by_a_killed_supervisor_goes_with_the_next_run() {
    let project = Project::new();
    let point = project.path().join("modules");
    let target = format!("target = \"{}\"", shown(&point));
    let profile = profile(&[&["type = \"tmpfs\"", &target]]);
    let mut live = Live::script(&project, &profile, &format!("touch modules/made; {HOLD}"));
    assert!(point.exists());
    live.kill();
    assert!(point.exists(), "nobody was there to remove it");
    assert_eq!(project.run(&profile, "ls modules").ok(), "");
    assert!(!point.exists());
}

#[test]
fn two_runs_side_by_side_share_a_mount_point() {
    let project = Project::new();
    let point = project.path().join("modules");
    let target = format!("target = \"{}\"", shown(&point));
    let profile = profile(&[&["type = \"tmpfs\"", &target]]);
    let script = |name: &str| {
        format!(
            "touch modules/{name} ready-{name}; while ! [ -e go-{name} ]; do sleep 0.05; done; ls modules"
        )
    };
    let file = |name: &str| project.path().join(name);
    let mut first = Live::spawn(&mut project.script(&profile, &script("one")));
    first.await_file(&file("ready-one"));
    let mut second = Live::spawn(&mut project.script(&profile, &script("two")));
    second.await_file(&file("ready-two"));
    project.write("go-one", "");
    assert_eq!(first.done().ok(), "one\n");
    assert!(point.exists(), "the second run still uses it");
    project.write("go-two", "");
    assert_eq!(second.done().ok(), "two\n");
    assert!(!point.exists());
}

#[test]
fn what_the_command_leaves_in_a_folder_of_its_own_making_stays() {
    let project = Project::new();
    project.write("modules/kept", "text");
    let target = format!("target = \"{}/modules\"", shown(project.path()));
    project
        .run(
            &profile(&[&["type = \"tmpfs\"", &target]]),
            "touch modules/made",
        )
        .ok();
    assert_eq!(names(&project.path().join("modules")), ["kept"]);
}

#[test]
fn a_symbolic_link_in_the_project_never_moves_a_mount_onto_the_host() {
    let project = Project::new();
    let host = Project::new();
    host.write("victim/file", "untouched");
    // What a command could have planted in an earlier run.
    symlink(host.path().join("victim"), project.path().join("link")).unwrap();
    symlink("/etc", project.path().join("etc")).unwrap();
    symlink("link", project.path().join("second")).unwrap();
    let folder = shown(project.path());
    for name in [
        "link",
        "link/below",
        "etc",
        "etc/sandbox-test",
        "second",
        "second/a/b",
    ] {
        for kind in [
            "type = \"tmpfs\"",
            "type = \"file\"\ncontents = \"x\"",
            "type = \"directory\"",
            "type = \"symlink\"\nto = \"x\"",
        ] {
            let target = format!("target = \"{folder}/{name}\"");
            let run = project.run(&profile(&[&[kind, &target]]), "echo ran");
            assert_eq!(run.stdout, "", "{name} {kind}");
            let words = run.fails(125);
            // A link in the project is refused already by the check, at its target.
            let line = if kind.contains("symlink") { 5 } else { 2 };
            let place = format!("sandbox.toml:{line}:");
            assert!(words.contains(&place), "{words}");
            assert!(words.contains("symbolic link"), "{words}");
        }
    }
    for source in ["link", "etc", "etc/passwd", "second", "link/file"] {
        let lines = [
            "type = \"bind\"",
            "target = \"/data\"",
            &format!("source = \"{source}\""),
        ];
        let run = project.run(&profile(&[&lines]), "echo ran");
        assert_eq!(run.stdout, "", "{source}");
        let words = run.fails(125);
        assert!(words.contains("sandbox.toml:2:"), "{words}");
    }
    assert_eq!(names(host.path()), ["victim", "victim/file"]);
    assert_eq!(
        std::fs::read_to_string(host.path().join("victim/file")).unwrap(),
        "untouched"
    );
    assert!(!Path::new("/etc/sandbox-test").exists());
}

#[test]
fn a_target_that_is_missing_is_provided_and_the_host_is_untouched() {
    let project = Project::new();
    let profile = profile(&[
        &[
            "type = \"file\"",
            "target = \"/etc/sandbox-test.conf\"",
            "contents = \"declared\\n\"",
        ],
        &["type = \"tmpfs\"", "target = \"/opt/x/y\""],
        &[
            "type = \"directory\"",
            "target = \"/usr/lib/sandbox-test/a\"",
        ],
    ]);
    let script = "cat /etc/sandbox-test.conf; touch /opt/x/y/made; ls -d /usr/lib/sandbox-test/a
        readlink /etc/mtab; head -c 4 /etc/passwd; echo; touch /etc/made 2>/dev/null && echo writable
        ls /usr/lib | wc -l; true";
    let run = project.run(&profile, script).ok();
    let lines: Vec<_> = run.lines().collect();
    let link = std::fs::read_link("/etc/mtab").unwrap_or_default();
    let count = std::fs::read_dir("/usr/lib").unwrap().count() + 1;
    let expected = [
        "declared",
        "/usr/lib/sandbox-test/a",
        shown(&link),
        "root",
        &count.to_string(),
    ];
    assert_eq!(lines, expected);
    for path in ["/etc/sandbox-test.conf", "/opt/x", "/usr/lib/sandbox-test"] {
        assert!(!Path::new(path).exists(), "{path}");
    }
}

#[test]
fn a_mount_that_cannot_be_is_refused_with_its_line() {
    let project = Project::new();
    project.write("file", "");
    let below = format!("target = \"{}/file/x\"", shown(project.path()));
    let cases: &[(&[&str], &str)] = &[
        (
            &["type = \"tmpfs\"", "target = \"/etc/passwd/x\""],
            "/etc/passwd",
        ),
        (
            &["type = \"tmpfs\"", "target = \"/etc/passwd\""],
            "/etc/passwd",
        ),
        (&["type = \"tmpfs\"", &below], "file"),
        (
            &["type = \"tmpfs\"", "target = \"/proc/nothing\""],
            "/proc/nothing",
        ),
        (
            &[
                "type = \"bind\"",
                "target = \"/data\"",
                "source = \"/nowhere\"",
            ],
            "/nowhere",
        ),
        (&["type = \"tmpfs\"", "target = \"/\""], "root"),
    ];
    for (lines, word) in cases {
        // What needs no look at the machine is refused at the very value.
        let place = if *word == "root" {
            "sandbox.toml:4:"
        } else {
            "sandbox.toml:2:"
        };
        let run = project.run(&profile(&[lines]), "echo ran");
        assert_eq!(run.stdout, "", "{lines:?}");
        let words = run.fails(125);
        assert!(words.contains(place), "{lines:?}: {words}");
        assert!(words.contains(word), "{lines:?}: {words}");
        assert!(words.contains("help: "), "{lines:?}: {words}");
    }
    let optional = [
        "type = \"bind\"",
        "target = \"/data\"",
        "source = \"/nowhere\"",
        "optional = true",
    ];
    assert_eq!(
        project
            .run(&profile(&[&optional]), "ls -d /data 2>/dev/null; echo ran")
            .ok(),
        "ran\n"
    );
    assert_eq!(names(project.path()), ["file", "sandbox.toml"]);
}

#[test]
fn parents_are_mounted_before_children_whatever_the_order_of_the_file() {
    let project = Project::new();
    let source = Project::new();
    source.write("tree/inner/file", "below\n");
    let tree = format!("source = \"{}/tree\"", shown(source.path()));
    let child: &[&str] = &[
        "type = \"tmpfs\"",
        "target = \"/a/inner/b\"",
        "mode = \"700\"",
    ];
    let parent: &[&str] = &["type = \"bind\"", "target = \"/a\"", &tree];
    let inner: &[&str] = &[
        "type = \"file\"",
        "target = \"/a/inner/b/c\"",
        "contents = \"leaf\\n\"",
    ];
    for order in [
        [child, parent, inner],
        [inner, child, parent],
        [parent, child, inner],
    ] {
        let run = project.run(
            &profile(&order),
            "cat /a/inner/file /a/inner/b/c; touch /a/inner/b/made",
        );
        assert_eq!(run.ok(), "below\nleaf\n");
    }
    assert_eq!(
        names(source.path()),
        ["tree", "tree/inner", "tree/inner/file"]
    );
}

#[test]
fn a_second_mount_on_the_same_target_is_refused() {
    let project = Project::new();
    let one: &[&str] = &["type = \"tmpfs\"", "target = \"/a\""];
    let words = project.run(&profile(&[one, one]), "echo ran").fails(125);
    assert!(words.contains("a second mount on /a"), "{words}");
    assert!(words.contains("sandbox.toml:7:"), "{words}");
}

#[test]
fn the_chroot_escape_finds_nothing_of_the_host() {
    let project = Project::new();
    let host = Project::new();
    let secret = host.write("secret", "text");
    let escape = "
import os, sys
os.mkdir('/tmp/jail')
out = os.open('/', os.O_RDONLY)
os.chroot('/tmp/jail')
os.fchdir(out)
for _ in range(100): os.chdir('..')
os.chroot('.')
print(sorted(os.listdir('/')))
print(os.path.exists(sys.argv[1]), os.path.exists('/usr/bin/env'))
for base in ['/proc/1/root', '/proc/self/root', '/proc/self/cwd/../../../../..']:
    try: print(os.path.exists(base + sys.argv[1]))
    except OSError: print(False)
";
    let profile = "version = 1\n[user]\nuid_map = \"root\"\n[capabilities]\nkeep = [\"all\"]\n[seccomp]\npreset = \"off\"";
    let run = done(&mut project.command(profile, &["python3", "-c", escape, shown(&secret)])).ok();
    let lines: Vec<_> = run.lines().collect();
    assert!(!lines[0].contains("'boot'"), "{run}");
    assert_eq!(lines[1..], ["False True", "False", "False", "False"]);
}

#[test]
fn no_mount_of_the_old_root_is_left_inside() {
    let project = Project::new();
    let strong =
        "[user]\nuid_map = \"root\"\n[capabilities]\nkeep = [\"all\"]\n[seccomp]\npreset = \"off\"";
    // Taking away every mount that can be shows what lies under it.
    let script = "umount -l /proc/sys /proc/kcore /tmp 2>/dev/null
        umount -l / 2>/dev/null
        for folder in /boot /srv /root /home/*; do ls -A $folder 2>/dev/null; done; true";
    assert_eq!(
        project.run(&format!("version = 1\n{strong}"), script).ok(),
        ""
    );
}

/// A root with a shell in it.
pub fn tiny_root(test: &str) -> Option<Project> {
    let busybox = Path::new("/bin/busybox");
    let is_static = std::fs::read(busybox).is_ok_and(|bytes| {
        // A dynamic program names its loader.
        !bytes.windows(11).any(|w| w == b"/ld-linux-x")
    });
    if !is_static {
        skip(test, "no static busybox in /bin (package `busybox-static`)");
        return None;
    }
    let root = Project::new();
    for folder in ["bin", "etc", "proc", "dev", "tmp", "var"] {
        std::fs::create_dir(root.path().join(folder)).unwrap();
    }
    install(busybox, Stdio::null(), &root.path().join("bin/busybox"));
    for name in ["sh", "ls", "cat", "touch", "stat", "id", "mkdir"] {
        symlink("busybox", root.path().join("bin").join(name)).unwrap();
    }
    root.write("etc/os-release", "tiny\n");
    std::fs::set_permissions(root.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    Some(root)
}

#[test]
fn a_directory_can_be_the_root_read_only() {
    let Some(root) = tiny_root("a_directory_can_be_the_root_read_only") else {
        return;
    };
    let project = Project::new();
    let before = names(root.path());
    let profile = format!(
        "version = 1\n[rootfs]\ndirectory = \"{}\"",
        shown(root.path())
    );
    let script = "cat /etc/os-release; ls /; touch /etc/made /made 2>/dev/null || echo forbidden
        touch /tmp/made made && pwd";
    let run = project.run(&profile, script).ok();
    let folder = shown(project.path());
    let top = folder.split('/').nth(1).unwrap();
    let mut listed = vec!["bin", "dev", "etc", "proc", "run", "tmp", "var"];
    listed.push(top);
    if let Some(home) = std::env::var("HOME")
        .ok()
        .as_deref()
        .and_then(|h| h.split('/').nth(1))
    {
        listed.push(Box::leak(home.to_owned().into_boxed_str()));
    }
    listed.sort_unstable();
    listed.dedup();
    assert_eq!(
        run,
        format!("tiny\n{}\nforbidden\n{folder}\n", listed.join("\n"))
    );
    assert_eq!(names(root.path()), before);
    assert!(project.path().join("made").exists());
}

#[test]
fn changes_can_be_written_to_a_directory_that_is_the_root() {
    let Some(root) = tiny_root("changes_can_be_written_to_a_directory_that_is_the_root") else {
        return;
    };
    let project = Project::new();
    let before = names(root.path());
    let folder = shown(root.path());
    // Root's files are the container root's, and stay the host root's.
    let user = if is_root() {
        "uid_map = \"auto\""
    } else {
        "uid_map = \"root\""
    };
    let profile = format!(
        "version = 1\n[rootfs]\ndirectory = \"{folder}\"\nchanges = \"write\"\n[user]\n{user}"
    );
    let script =
        "id -u; stat -c %u /etc/os-release; touch /etc/made /tmp/gone && touch here && pwd";
    let run = project.run(&profile, script).ok();
    assert_eq!(run, format!("0\n0\n{}\n", shown(project.path())));
    let made = root.path().join("etc/made").metadata().unwrap();
    assert_eq!(made.uid(), nix::unistd::geteuid().as_raw());
    assert!(project.path().join("here").exists());
    let mut after = names(root.path());
    after.retain(|name| name != "etc/made");
    assert_eq!(after, before, "no mount point stays in the root");
}

#[test]
fn changes_cannot_be_written_to_the_hosts_root() {
    let project = Project::new();
    let words = project
        .run("version = 1\n[rootfs]\nchanges = \"write\"", "echo ran")
        .fails(125);
    assert!(words.contains("sandbox.toml:3:"), "{words}");
}

#[test]
fn a_root_that_is_missing_is_refused_with_its_line() {
    let project = Project::new();
    for directory in ["/nowhere", "/etc/passwd"] {
        let profile = format!("version = 1\n[rootfs]\ndirectory = \"{directory}\"");
        let words = project.run(&profile, "echo ran").fails(125);
        assert!(
            words.contains("sandbox.toml:3:") && words.contains(directory),
            "{words}"
        );
    }
}

#[test]
fn an_empty_root_holds_nothing_but_what_is_mounted() {
    let Some(_root) = tiny_root("an_empty_root_holds_nothing_but_what_is_mounted") else {
        return;
    };
    let project = Project::new();
    let profile = "version = 1\n[rootfs]\nempty = true\nproject = \"hide\"\n[[mounts]]\ntype = \"bind\"\nsource = \"/bin/busybox\"\ntarget = \"/app/busybox\"";
    let home = Project::new();
    let listed = |profile: &str| {
        let mut command = project.command(profile, &["/app/busybox", "ls", "/"]);
        done(command.env("HOME", home.path()))
    };
    let top = shown(home.path()).split('/').nth(1).unwrap().to_owned();
    let mut expected = vec!["app", "dev", "proc", "run", "tmp"];
    if top != "tmp" {
        expected.push(&top);
        expected.sort_unstable();
    }
    assert_eq!(listed(profile).ok(), format!("{}\n", expected.join("\n")));
    let nothing = "version = 1\n[rootfs]\nempty = true";
    let missing = listed(nothing);
    assert!(missing.fails(127).contains("/app/busybox"));
}

#[test]
fn a_root_of_programs_holds_them_and_their_libraries_only() {
    let project = Project::new();
    let profile = "version = 1\n[rootfs]\nprograms = [\"sh\", \"cat\"]";
    let script = "cat /proc/self/comm; echo /usr/bin/* /bin/*; ls / 2>/dev/null || echo none
        [ -e /etc/passwd ] && echo passwd; : > here; cat made/in/project";
    project.write("made/in/project", "text\n");
    let run = project.run(profile, script);
    let lines: Vec<_> = run.stdout.lines().collect();
    assert_eq!(lines[0], "cat", "{run:?}");
    let programs: Vec<_> = lines[1].split(' ').filter(|w| !w.contains('*')).collect();
    for program in &programs {
        assert!(
            ["sh", "dash", "cat"].iter().any(|n| program.ends_with(n)),
            "{run:?}"
        );
    }
    assert_eq!(lines[2..], ["none", "text"], "{run:?}");
    assert!(project.path().join("here").exists());
    let absent = "version = 1\n[rootfs]\nprograms = [\"no-such-program\"]";
    let words = project.run(absent, "true").fails(125);
    assert!(
        words.contains("no-such-program") && words.contains("sandbox.toml:3:"),
        "{words}"
    );
}

#[test]
fn a_mask_hides_a_folder_of_the_root_and_what_a_rebuilt_folder_holds() {
    let project = Project::new();
    let profile = profile(&[
        &["type = \"mask\"", "target = \"/opt\""],
        &["type = \"mask\"", "target = \"/etc/ssl\""],
        // /etc lacks this mount point, so it is rebuilt from its entries.
        &["type = \"file\"", "target = \"/etc/made-for-a-test\""],
    ]);
    for folder in ["/opt", "/etc/ssl"] {
        // Nothing to hide on a machine without it.
        if Path::new(folder).exists() {
            let output = project.run(&profile, &format!("ls {folder} 2>/dev/null || echo hidden"));
            assert_eq!(output.ok(), "hidden\n", "{folder}");
        }
    }
}
