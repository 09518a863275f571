//! Roots that are unpacked: from archives and from images, whoever made them.

mod registry;

use crate::support::{Done, Project, done, is_root, skip};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tar::{Builder, EntryType, Header};

const BUSYBOX: &str = "/bin/busybox";

/// What a member of an archive is, besides its name.
#[derive(Clone)]
enum What {
    Directory,
    File(Vec<u8>),
    Symlink(&'static str),
    HardLink(&'static str),
    Device,
    Fifo,
}

#[derive(Clone)]
struct Member {
    name: String,
    what: What,
    mode: u32,
    owner: (u64, u64),
    xattr: Option<&'static str>,
}

fn member(name: &str, what: What, mode: u32) -> Member {
    Member {
        name: name.into(),
        what,
        mode,
        owner: (0, 0),
        xattr: None,
    }
}

fn directory(name: &str) -> Member {
    member(name, What::Directory, 0o755)
}

fn file(name: &str, text: &str) -> Member {
    member(name, What::File(text.into()), 0o644)
}

impl Member {
    fn owned(self, uid: u64, gid: u64) -> Self {
        Self {
            owner: (uid, gid),
            ..self
        }
    }
}

/// Names are written as they are: the builder would refuse those that this is about.
fn archive(members: &[Member]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for member in members {
        if let Some(value) = member.xattr {
            let records = [("SCHILY.xattr.user.test", value.as_bytes())];
            builder.append_pax_extensions(records).unwrap();
        }
        let mut header = Header::new_ustar();
        let (kind, link, data) = match &member.what {
            What::Directory => (EntryType::Directory, "", &[][..]),
            What::File(data) => (EntryType::Regular, "", &data[..]),
            What::Symlink(to) => (EntryType::Symlink, *to, &[][..]),
            What::HardLink(to) => (EntryType::Link, *to, &[][..]),
            What::Device => (EntryType::Char, "", &[][..]),
            What::Fifo => (EntryType::Fifo, "", &[][..]),
        };
        let ustar = header.as_ustar_mut().unwrap();
        ustar.name[..member.name.len()].copy_from_slice(member.name.as_bytes());
        ustar.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_size(data.len() as u64);
        header.set_mode(member.mode);
        header.set_uid(member.owner.0);
        header.set_gid(member.owner.1);
        header.set_mtime(1_000_000_000);
        header.set_cksum();
        builder.append(&header, data).unwrap();
    }
    builder.into_inner().unwrap()
}

fn owned_by_root(header: &mut Header) {
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
}

/// What every root here begins with: enough to look around.
fn base() -> Vec<Member> {
    let mut members = vec![
        directory("./"),
        directory("./bin/"),
        directory("./dev/"),
        directory("./etc/"),
        directory("./proc/"),
        member(
            "./bin/busybox",
            What::File(std::fs::read(BUSYBOX).unwrap()),
            0o755,
        ),
        file(
            "./etc/passwd",
            "root:x:0:0::/:/bin/sh\nada:x:7:8::/:/bin/sh\n",
        ),
        file("./etc/group", "root:x:0:\nada:x:8:\n"),
        // As mmdebstrap writes them.
        member("./dev/null", What::Device, 0o666),
    ];
    for name in [
        "cat", "echo", "env", "find", "id", "pwd", "sh", "sleep", "sort", "stat", "true",
    ] {
        members.push(member(
            &format!("./bin/{name}"),
            What::Symlink("busybox"),
            0o777,
        ));
    }
    members
}

/// The whole of what is compared.
fn whole() -> Vec<Member> {
    let mut members = base();
    members.extend([
        directory("./opt/"),
        file("./opt/plain", "plain"),
        member("./opt/other", What::HardLink("./opt/plain"), 0o644),
        member("./opt/suid", What::File(b"suid".to_vec()), 0o4755),
        member("./opt/closed/", What::Directory, 0o700).owned(7, 8),
        Member {
            xattr: Some("of a user\n"),
            ..member("./opt/closed/owned", What::File(b"owned".to_vec()), 0o600).owned(7, 8)
        },
        member("./opt/sticky/", What::Directory, 0o1777),
        member("./opt/absolute", What::Symlink("/opt/plain"), 0o777),
        member("./opt/upwards", What::Symlink("../../../etc/passwd"), 0o777),
        member("./opt/fifo", What::Fifo, 0o640),
        // Nobody has said anything of the directory that it lies in.
        file("./opt/on/the/way", "x"),
    ]);
    members
}

/// The same in three layers, with detours.
fn layers() -> Vec<Vec<Member>> {
    let split = base().len();
    let all = whole();
    let mut first = all[..split].to_vec();
    first.extend([
        directory("opt/"),
        file("opt/plain", "of another text"),
        file("opt/removed", "x"),
        directory("opt/folder/"),
        file("opt/folder/removed", "x"),
        file("opt/closed", "a file in place of a directory"),
        member("opt/sticky/", What::Directory, 0o700),
        file("opt/sticky/below", "x"),
        directory("opt/suid/"),
        file("opt/suid/below", "x"),
        file("opt/on", "x"),
    ]);
    let mut second = vec![
        file("opt/.wh.removed", ""),
        file("opt/.wh.folder", ""),
        file("opt/.wh.never-there", ""),
        file("never-there/.wh.x", ""),
        file("opt/.wh.on", ""),
        // What a layer hides and makes is there, in whichever order it comes.
        file("opt/sticky/new", "x"),
        file("opt/sticky/.wh..wh..opq", ""),
    ];
    second.extend(
        all[split..]
            .iter()
            .filter(|m| !m.name.contains("other"))
            .cloned(),
    );
    let third = vec![
        file("opt/sticky/.wh.new", ""),
        member("opt/other", What::HardLink("opt/plain"), 0o644),
    ];
    vec![first, second, third]
}

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    gzip_of([bytes])
}

/// Of what need not be in memory as a whole: under User-Mode Linux each page that a process touches is a mapping
/// of the host's, of which it may have 65,530 (`vm.max_map_count`).
fn gzip_of<'b>(parts: impl IntoIterator<Item = &'b [u8]>) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for part in parts {
        encoder.write_all(part).unwrap();
    }
    encoder.finish().unwrap()
}

fn zstandard(bytes: &[u8]) -> Vec<u8> {
    // Two frames, and one to be skipped between them.
    let compress = |part: &[u8]| {
        ruzstd::encoding::compress_to_vec(part, ruzstd::encoding::CompressionLevel::Fastest)
    };
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    [compress(first), skipped, compress(second)].concat()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let script = "import lzma,sys; sys.stdout.buffer.write(lzma.compress(sys.stdin.buffer.read(), preset=0))";
    let mut python = Command::new("/usr/bin/python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = python.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes).unwrap());
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    output.stdout
}

/// An image layout that is being written.
struct Layout<'p> {
    project: &'p Project,
    name: &'static str,
}

impl Layout<'_> {
    fn blob(&self, bytes: &[u8]) -> String {
        let digest = sha256(bytes);
        let name = digest.replace(':', "/");
        self.project
            .write(&format!("{}/blobs/{name}", self.name), bytes);
        digest
    }

    /// The path of a blob.
    fn path(&self, digest: &str) -> PathBuf {
        let blobs = self.project.path().join(self.name).join("blobs");
        blobs.join(digest.replace(':', "/"))
    }

    /// Writes one image of some layers; the digests of its manifest and of the layers.
    fn image(&self, layers: &[Vec<Member>], config: &str) -> (String, Vec<String>) {
        let (mut digests, mut descriptors, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        for (number, layer) in layers.iter().enumerate() {
            let plain = archive(layer);
            ids.push(format!("\"{}\"", sha256(&plain)));
            let stored = match number % 3 {
                0 => gzip(&plain),
                1 => plain,
                _ => zstandard(&plain),
            };
            let digest = self.blob(&stored);
            descriptors.push(descriptor("layer.v1.tar", &digest, stored.len()));
            digests.push(digest);
        }
        let arch = if cfg!(target_arch = "aarch64") {
            "arm64"
        } else {
            "amd64"
        };
        let configuration = format!(
            r#"{{"os":"linux","architecture":"{arch}","config":{config},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
            ids.join(",")
        );
        let config = self.blob(configuration.as_bytes());
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{},"layers":[{}]}}"#,
            descriptor("config.v1+json", &config, configuration.len()),
            descriptors.join(",")
        );
        let digest = self.blob(manifest.as_bytes());
        let entry = |name: &str, arch: &str, digest: &str| {
            format!(
                r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":{},"platform":{{"os":"linux","architecture":"{arch}"}},"annotations":{{"org.opencontainers.image.ref.name":"{name}"}}}}"#,
                manifest.len()
            )
        };
        let other = format!("sha256:{}", "0".repeat(64));
        let index = format!(
            r#"{{"schemaVersion":2,"manifests":[{},{}]}}"#,
            entry("latest", "s390x", &other),
            entry("latest", arch, &digest)
        );
        let path = format!("{}/index.json", self.name);
        self.project.write(&path, index);
        (digest, digests)
    }
}

fn descriptor(kind: &str, digest: &str, size: usize) -> String {
    format!(
        r#"{{"mediaType":"application/vnd.oci.image.{kind}","digest":"{digest}","size":{size}}}"#
    )
}

/// A run of a script in a root, with a cache of the project's own.
fn command(project: &Project, rootfs: &str, rest: &str, words: &[&str]) -> Command {
    let profile = format!("[rootfs]\nproject = \"hide\"\n{rootfs}\n{rest}");
    let mut command = match words {
        [] => {
            project.write("sandbox.toml", profile);
            project.program(&["--profile", "sandbox.toml"])
        }
        words => project.command(&profile, words),
    };
    command.env("XDG_CACHE_HOME", caches(project));
    command
}

/// Made here, so that it belongs to the caller whatever the umask.
fn caches(project: &Project) -> PathBuf {
    let caches = project.path().join("caches");
    let _ = std::fs::create_dir(&caches);
    std::fs::set_permissions(&caches, PermissionsExt::from_mode(0o700)).unwrap();
    caches
}

fn run(project: &Project, rootfs: &str, rest: &str, script: &str) -> Done {
    done(&mut command(
        project,
        rootfs,
        rest,
        &["/bin/sh", "-c", script],
    ))
}

fn images(project: &Project, arguments: &[&str]) -> Done {
    let mut all = vec!["images"];
    all.extend(arguments);
    done(project.program(&all).env("XDG_CACHE_HOME", caches(project)))
}

/// The names in a folder of the cache.
fn cached(project: &Project, folder: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(caches(project).join("sandbox").join(folder)) else {
        return Vec::new();
    };
    let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// Every path below a folder but those of the cache, with what changes where it is written to.
fn outside(folder: &Path) -> BTreeSet<(PathBuf, u64, i64)> {
    let mut found = BTreeSet::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(at) = todo.pop() {
        for entry in std::fs::read_dir(at).unwrap().flatten() {
            let path = entry.path();
            let metadata = path.symlink_metadata().unwrap();
            if path == folder.join("caches") || path == folder.join("sandbox.toml") {
                continue;
            }
            if metadata.is_dir() {
                todo.push(path.clone());
            }
            found.insert((path, metadata.len(), metadata.ctime_nsec()));
        }
    }
    found
}

fn needs_busybox(test: &str) -> bool {
    let there = Path::new(BUSYBOX).exists();
    if !there {
        skip(test, "there is no /bin/busybox");
    }
    there
}

/// Whether the caller can map more than one id.
fn has_ids() -> bool {
    let user = std::fs::read_to_string("/etc/subuid").unwrap_or_default();
    is_root()
        || user.lines().any(|line| {
            let name = nix::unistd::User::from_uid(nix::unistd::geteuid());
            name.ok()
                .flatten()
                .is_some_and(|user| line.starts_with(&format!("{}:", user.name)))
        })
}

const AUTO: &str = "[user]\nuid_map = \"auto\"";

/// All that is said of every file, and of which names are one file.
const LISTING: &str = "find bin etc opt | sort | while read f; do
    stat -c '%N %f %u:%g %h %s %Y' \"$f\"
    for g in opt/*; do [ ! \"$f\" -ef \"$g\" ] || [ \"$f\" = \"$g\" ] || echo \"  = $g\"; done
done";

/// Makes the tree of some members without the code that is tested.
fn unpacked(project: &Project, tar: &Path) -> PathBuf {
    let root = project.path().join("directory");
    std::fs::create_dir(&root).unwrap();
    let status = Command::new("tar")
        .args([
            "--numeric-owner",
            "--same-permissions",
            "--exclude=./dev/null",
            "-xf",
        ])
        .arg(tar)
        .current_dir(&root)
        .status();
    assert!(status.unwrap().success());
    // tar makes links last, and does not set back the time of what they are in.
    let times = ["-d", "@1000000000", "bin", "etc", "opt"];
    let status = Command::new("touch")
        .args(times)
        .current_dir(&root)
        .status();
    assert!(status.unwrap().success());
    root
}

#[test]
fn a_root_looks_the_same_as_a_directory_an_archive_and_an_image_of_layers() {
    let name = "a_root_looks_the_same_as_a_directory_an_archive_and_an_image_of_layers";
    if !needs_busybox(name) {
        return;
    }
    if !has_ids() {
        return skip(name, "the caller has no subordinate ids");
    }
    let project = Project::new();
    let plain = archive(&whole());
    let path = project.write("root.tar", &plain);
    project.write("root.tar.gz", gzip(&plain));
    project.write("root.tar.xz", xz(&plain));
    project.write("root.tar.zst", zstandard(&plain));
    let layout = Layout {
        project: &project,
        name: "layout",
    };
    layout.image(&layers(), "{}");
    let packed = Command::new("tar")
        .args(["-cf", "../layout.tar", "."])
        .current_dir(project.path().join("layout"))
        .status();
    assert!(packed.unwrap().success());

    // Who looks into what is closed to others.
    let rest = format!("{AUTO}\n[capabilities]\nkeep = [\"dac_override\"]");
    let listed = |rootfs: &str| run(&project, rootfs, &rest, LISTING).ok();
    let first = listed("archive = \"root.tar\"");
    for line in [
        "opt/suid 89ed 0:0 1 4",
        "opt/closed/owned 8180 7:8 1 5",
        "opt/closed 41c0 7:8",
        "opt/sticky 43ff 0:0",
        "opt/plain 81a4 0:0 2 5",
        "  = opt/plain",
        "'opt/absolute' -> '/opt/plain'",
        "'opt/upwards' -> '../../../etc/passwd'",
        "opt/fifo 11a0",
        "opt/on/the 41ed 0:0",
    ] {
        assert!(first.contains(line), "{line}: {first}");
    }
    for other in ["root.tar.gz", "root.tar.xz", "root.tar.zst"] {
        assert_eq!(listed(&format!("archive = \"{other}\"")), first, "{other}");
    }
    for other in ["layout", "layout.tar"] {
        assert_eq!(listed(&format!("image = \"{other}\"")), first, "{other}");
    }
    // Only root can make it without the code that is tested.
    if is_root() {
        let root = unpacked(&project, &path);
        let directory = listed(&format!("directory = \"{}\"", root.display()));
        // What nobody has said of a directory on the way to a member is of that moment.
        let but = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| !line.starts_with("opt/on"));
            lines.map(str::to_owned).collect()
        };
        assert_eq!(but(&directory), but(&first));
    }
    // The two images are one, since they have one manifest.
    assert_eq!(cached(&project, "images").len(), 5);
    assert_eq!(cached(&project, "unpacking"), [""; 0]);
    let listed: serde_json::Value =
        serde_json::from_str(&images(&project, &["list", "--json"]).ok()).unwrap();
    assert_eq!(listed["images"].as_array().unwrap().len(), 5);
    // As root or through the namespace of the subordinate ids, whoever they belong to.
    assert_eq!(images(&project, &["prune"]).ok().lines().count(), 5);
    for folder in ["images", "unpacking", "archives"] {
        assert_eq!(cached(&project, folder), [""; 0], "{folder}");
    }
}

#[test]
fn extended_attributes_come_along_but_for_those_of_others() {
    let name = "extended_attributes_come_along_but_for_those_of_others";
    if !needs_busybox(name) {
        return;
    }
    let project = Project::new();
    let mut members = base();
    members.push(Member {
        xattr: Some("a\nb"),
        ..file("./etc/with", "x")
    });
    project.write("root.tar", archive(&members));
    assert_eq!(
        run(&project, "archive = \"root.tar\"", "", "cat /etc/with").ok(),
        "x"
    );
    let [image] = &cached(&project, "images")[..] else {
        panic!("one image");
    };
    let path = caches(&project)
        .join("sandbox/images")
        .join(image)
        .join("root/etc/with");
    let mut value = [0; 16];
    match rustix::fs::getxattr(&path, "user.test", &mut value) {
        Ok(length) => assert_eq!(&value[..length], b"a\nb"),
        Err(rustix::io::Errno::OPNOTSUPP) => {
            skip(name, "the file system has no attributes of users")
        }
        Err(errno) => panic!("{errno}"),
    }
}

#[test]
fn what_belongs_to_others_belongs_to_a_caller_of_one_id() {
    let name = "what_belongs_to_others_belongs_to_a_caller_of_one_id";
    if !needs_busybox(name) {
        return;
    }
    if is_root() {
        return skip(name, "root can give files away");
    }
    let project = Project::new();
    project.write("root.tar", archive(&whole()));
    let script = "stat -c '%n %a %U %u' /opt/closed /opt/closed/owned; id -u";
    let told = run(&project, "archive = \"root.tar\"", "", script).ok();
    let uid = nix::unistd::geteuid();
    let expected =
        format!("/opt/closed 700 UNKNOWN {uid}\n/opt/closed/owned 600 UNKNOWN {uid}\n{uid}\n");
    assert_eq!(told, expected);
}

#[test]
fn what_an_archive_would_do_outside_is_refused_and_nothing_is_written_there() {
    let project = Project::new();
    let canary = project.write("canary/file", "untouched");
    // A folder that is there beyond a link: on the way, where no flag of open(2) would refuse it.
    project.write("canary/sub/file", "untouched");
    let beyond = || file("link/sub/evil", "evil");
    let at = |path: &str| project.path().join(path).display().to_string();
    let link: &'static str = Box::leak(at("canary").into_boxed_str());
    let absolute: &'static str = Box::leak(at("canary/file").into_boxed_str());
    let to_canary = || member("link", What::Symlink(link), 0o777);
    let mut many = vec![];
    many.extend((0..20).map(|n| file(&format!("f{n}"), "")));
    let mut huge = Header::new_gnu();
    huge.set_path("huge").unwrap();
    huge.set_size(1 << 40);
    owned_by_root(&mut huge);
    huge.set_cksum();
    let mut sparse = Header::new_gnu();
    sparse.set_path("sparse").unwrap();
    sparse.set_entry_type(EntryType::GNUSparse);
    sparse.set_size(0);
    owned_by_root(&mut sparse);
    sparse.as_gnu_mut().unwrap().set_real_size(1 << 40);
    sparse.set_cksum();
    let pax = |text: &str| {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::XHeader);
        header.set_size(text.len() as u64);
        owned_by_root(&mut header);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend(text.as_bytes());
        bytes.resize(1024, 0);
        [bytes, archive(&[file("x", "")])].concat()
    };
    let whole_root = archive(&[file("x", &"x".repeat(4000))]);
    // Of few bytes each: a million names, and a file of a terabyte that claims to have none.
    let mut names = file("f", "");
    names.mode = 0o600;
    let name = &archive(&[names])[..512];
    let million = gzip_of(std::iter::repeat_n(name, 1_000_000));
    assert!(million.len() < name.len() * 1_000_000 / 20);
    let megabytes = std::iter::repeat_n(&[0; 1 << 20][..], 64);
    let zeros = gzip_of(std::iter::once(&huge.as_bytes()[..]).chain(megabytes));
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (
            archive(&[to_canary(), beyond()]),
            "which is a link or no directory",
        ),
        (archive(&[file("../canary/file", "evil")]), "leads upwards"),
        (
            archive(&[file("a/../../canary/file", "evil")]),
            "leads upwards",
        ),
        (archive(&[directory("../canary/new/")]), "leads upwards"),
        (archive(&[file(absolute, "evil")]), "is absolute"),
        (
            archive(&[to_canary(), file("link/file", "evil")]),
            "which is a link or no directory",
        ),
        (
            archive(&[to_canary(), file("link/new/file", "evil")]),
            "which is a link or no directory",
        ),
        (
            archive(&[to_canary(), directory("link/new/")]),
            "which is a link or no directory",
        ),
        (
            archive(&[
                member("link", What::Symlink("../../../../canary"), 0o777),
                file("link/x", ""),
            ]),
            "which is a link or no directory",
        ),
        (
            archive(&[file("f", ""), file("f/x", "evil")]),
            "which is a link or no directory",
        ),
        (
            archive(&[member("hard", What::HardLink(absolute), 0o644)]),
            "is absolute",
        ),
        (
            archive(&[member("hard", What::HardLink("../canary/file"), 0o644)]),
            "leads upwards",
        ),
        (
            archive(&[
                to_canary(),
                member("hard", What::HardLink("link/file"), 0o644),
            ]),
            "which is not in it",
        ),
        (
            archive(&[member("hard", What::HardLink("none"), 0o644)]),
            "cannot become a hard link",
        ),
        (
            archive(&[member("node", What::Device, 0o666)]),
            "is a device node",
        ),
        (
            archive(&[
                member("dev", What::Symlink("etc"), 0o777),
                member("dev/../node", What::Device, 0o666),
            ]),
            "leads upwards",
        ),
        (archive(&many), "max_entries"),
        (million, "max_entries"),
        (zeros, "max_size"),
        (pax("22 size=1099511627776\n"), "max_size"),
        (archive(&[file("x", &"x".repeat(70_000))]), "max_size"),
        ([huge.as_bytes(), &[0; 1024][..]].concat(), "max_size"),
        ([sparse.as_bytes(), &[0; 1024][..]].concat(), "sparse"),
        (pax("22 GNU.sparse.major=1\n"), "sparse"),
        (pax("22 path=../canary/file\n"), "a record of pax"),
        (pax("23 path=../canary/file\n"), "leads upwards"),
        (pax("12 size=-1\n"), "pax"),
        (whole_root[..2000].to_vec(), "truncated"),
        (whole_root[..512].to_vec(), "truncated"),
        (gzip(&whole_root)[..60].to_vec(), "truncated"),
        (zstandard(&whole_root)[..60].to_vec(), "truncated"),
        (b"no archive at all".repeat(100), "no tar archive"),
        (Vec::new(), "truncated"),
    ];
    let before = |project: &Project| outside(project.path());
    project.write("root.tar", "");
    for (bytes, words) in cases {
        project.write("root.tar", &bytes);
        let state = before(&project);
        let bounds = "archive = \"root.tar\"\nmax_entries = 10\nmax_size = \"64K\"";
        let said = run(&project, bounds, "", "true").fails(125);
        assert!(said.contains(words), "{words}: {said}");
        assert!(said.contains("sandbox.toml:3:11"), "{said}");
        assert_eq!(before(&project), state, "{words}");
        for folder in ["images", "unpacking", "archives"] {
            assert_eq!(cached(&project, folder), [""; 0], "{folder}: {words}");
        }
    }
    assert_eq!(std::fs::read_to_string(canary).unwrap(), "untouched");
}

#[test]
fn an_image_that_is_not_what_its_digests_say_is_refused() {
    let project = Project::new();
    let layers = [vec![file("a", "first")], vec![file("b", "second")]];
    let layout = Layout {
        project: &project,
        name: "layout",
    };
    let refused = |words: &str| {
        let said = run(&project, "image = \"layout\"", "", "true").fails(125);
        assert!(said.contains(words), "{words}: {said}");
        assert!(said.contains("sandbox.toml:3:9"), "{said}");
        assert_eq!(cached(&project, "images"), [""; 0]);
        assert_eq!(cached(&project, "unpacking"), [""; 0]);
    };
    let (manifest, blobs) = layout.image(&layers, "{}");
    let change = |digest: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let path = layout.path(digest);
        let mut bytes = std::fs::read(&path).unwrap();
        change(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
    };
    change(&blobs[1], &|bytes| {
        bytes.pop();
    });
    refused("layer 2 of 2: blobs/sha256/");
    refused("is truncated");
    layout.image(&layers, "{}");
    // The text of the second layer, which is not compressed.
    change(&blobs[1], &|bytes| bytes[512] = b'S');
    refused("layer 2 of 2 does not hold what its digest says");
    layout.image(&layers, "{}");
    change(&manifest, &|bytes| bytes[0] = b' ');
    refused("does not hold what its digest says");
    layout.image(&layers, "{}");
    std::fs::remove_file(layout.path(&blobs[0])).unwrap();
    refused("it is not there");
    // A blob that leads out of the layout.
    let elsewhere = project.write("elsewhere", "x");
    std::os::unix::fs::symlink(elsewhere, layout.path(&blobs[0])).unwrap();
    refused("it is not there");
    let index = project.path().join("layout/index.json");
    let text = std::fs::read_to_string(&index).unwrap();
    std::fs::write(
        &index,
        text.replace("amd64", "mips").replace("arm64", "mips"),
    )
    .unwrap();
    refused("it holds no image for linux/");
    std::fs::write(
        &index,
        text.replace(&manifest, "sha256:../../../../../etc/passwd"),
    )
    .unwrap();
    refused("is no digest that could be verified");
    std::fs::write(&index, "[").unwrap();
    refused("index.json is not what it should be");
    std::fs::remove_file(&index).unwrap();
    refused("it is no image layout");
}

#[test]
fn what_docker_save_has_written_is_read_and_verified() {
    let name = "what_docker_save_has_written_is_read_and_verified";
    if !needs_busybox(name) {
        return;
    }
    let project = Project::new();
    let (first, second) = (archive(&base()), archive(&[file("etc/second", "second")]));
    let written = |second_id: &str| {
        let config = format!(
            r#"{{"os":"linux","config":{{}},"rootfs":{{"diff_ids":["{}","{second_id}"]}}}}"#,
            sha256(&first)
        );
        let manifest = r#"[{"Config":"c.json","RepoTags":["test:1"],"Layers":["one/layer.tar","two/layer.tar"]}]"#;
        let data = |name: &str, bytes: &[u8]| member(name, What::File(bytes.into()), 0o644);
        let saved = archive(&[
            data("c.json", config.as_bytes()),
            data("one/layer.tar", &first),
            data("real/layer.tar", &second),
            // A layer that is there twice is a link.
            member("two/layer.tar", What::Symlink("../real/layer.tar"), 0o777),
            data("manifest.json", manifest.as_bytes()),
        ]);
        project.write("saved.tar", saved);
    };
    let image = |name: &str| format!("image = \"saved.tar\"\nimage_name = \"{name}\"");
    written(&sha256(&second));
    assert_eq!(
        run(&project, &image("test:1"), "", "cat /etc/second").ok(),
        "second"
    );
    assert_eq!(
        run(&project, "image = \"saved.tar\"", "", "cat /etc/second").ok(),
        "second"
    );
    let said = run(&project, &image("test:2"), "", "true").fails(125);
    assert!(said.contains("there are: test:1"), "{said}");
    written(&sha256(&first));
    let said = run(&project, &image("test:1"), "", "true").fails(125);
    assert!(
        said.contains("does not hold what its digest says"),
        "{said}"
    );
}

#[test]
fn runs_side_by_side_unpack_once() {
    let name = "runs_side_by_side_unpack_once";
    if !needs_busybox(name) {
        return;
    }
    let project = Project::new();
    let mut members = base();
    members.extend((0..500).map(|n| file(&format!("./etc/f{n}"), "x")));
    project.write("root.tar", archive(&members));
    let script = "cat /etc/f499";
    // One profile, written once: they all read it.
    let mut one = command(
        &project,
        "archive = \"root.tar\"",
        "",
        &["/bin/sh", "-c", script],
    );
    one.stdout(Stdio::piped()).stderr(Stdio::piped());
    let all: Vec<_> = (0..6).map(|_| one.spawn().unwrap()).collect();
    for one in all {
        let done = crate::support::finished(one.wait_with_output().unwrap());
        assert_eq!(done.ok(), "x");
    }
    assert_eq!(cached(&project, "images").len(), 1);
    assert_eq!(cached(&project, "unpacking"), [""; 0]);
}

#[test]
fn what_a_killed_run_has_unpacked_is_never_taken_for_a_root() {
    let name = "what_a_killed_run_has_unpacked_is_never_taken_for_a_root";
    if !needs_busybox(name) {
        return;
    }
    let project = Project::new();
    let mut members = base();
    members.extend((0..20_000).map(|n| file(&format!("./etc/f{n}"), "x")));
    project.write("root.tar", archive(&members));
    let start = || {
        command(
            &project,
            "archive = \"root.tar\"",
            "",
            &["/bin/cat", "/etc/f19999"],
        )
    };
    let kill = || {
        let mut child = start().stdout(Stdio::null()).spawn().unwrap();
        let unpacking = caches(&project).join("sandbox/unpacking");
        let until = Instant::now() + Duration::from_secs(60);
        let begun = || {
            let names = cached(&project, "unpacking");
            names
                .iter()
                .any(|name| unpacking.join(name).join("root/etc/f100").exists())
        };
        while !begun() {
            assert!(Instant::now() < until, "nothing is unpacked");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(cached(&project, "images"), [""; 0]);
        assert_eq!(cached(&project, "unpacking").len(), 1);
    };
    kill();
    // gc takes it away; and the next run does the same for itself.
    let mut gc = project.program(&["gc", "."]);
    let gc = done(gc.env("XDG_CACHE_HOME", caches(&project)));
    assert!(gc.stdout.contains("half a root"), "{gc:?}");
    assert_eq!(cached(&project, "unpacking"), [""; 0]);
    kill();
    assert_eq!(done(&mut start()).ok(), "x");
    assert_eq!(cached(&project, "images").len(), 1);
    assert_eq!(cached(&project, "unpacking"), [""; 0]);
}

#[test]
fn a_root_that_is_used_is_not_pruned() {
    let name = "a_root_that_is_used_is_not_pruned";
    if !needs_busybox(name) {
        return;
    }
    let project = Project::new();
    project.write("root.tar", archive(&base()));
    let rootfs = "archive = \"root.tar\"";
    let mut child = command(
        &project,
        rootfs,
        "",
        &["/bin/sh", "-c", "echo up; sleep 1000"],
    )
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    assert_eq!(line, "up\n");
    let [image] = &cached(&project, "images")[..] else {
        panic!("one image");
    };
    assert!(images(&project, &[]).ok().contains(", in use"));
    assert!(images(&project, &["prune"]).ok().starts_with("in use"));
    assert_eq!(images(&project, &["prune", image]).code, 1);
    assert_eq!(cached(&project, "images").len(), 1);
    child.kill().unwrap();
    child.wait().unwrap();
    // Init holds it too, and ends with its supervisor.
    let until = Instant::now() + Duration::from_secs(60);
    while !cached(&project, "images").is_empty() {
        assert!(Instant::now() < until);
        images(&project, &["prune"]).ok();
    }
    let said = images(&project, &["prune", image]).fails(125);
    assert!(said.contains("no unpacked root is named"), "{said}");
}

#[test]
fn nothing_is_unpacked_but_by_a_run() {
    let name = "nothing_is_unpacked_but_by_a_run";
    if !needs_busybox(name) {
        return;
    }
    let project = Project::new();
    project.write("root.tar", archive(&base()));
    let profile = "[rootfs]\narchive = \"root.tar\"\nproject = \"hide\"\n[[test]]\nname = \"t\"\ncan_read = [\"/etc/passwd\"]\n";
    project.write("sandbox.toml", profile);
    let ask = |arguments: &[&str]| {
        done(
            project
                .program(arguments)
                .env("XDG_CACHE_HOME", caches(&project)),
        )
    };
    let explained = ask(&["explain", "--profile", "sandbox.toml", "--", "/bin/true"]).ok();
    assert!(explained.contains("   1  unpack "), "{explained}");
    assert!(!explained.contains("clone init"), "{explained}");
    for arguments in [
        &["check", "sandbox.toml"][..],
        &["check", "--host", "sandbox.toml"],
        &["show", "--profile", "sandbox.toml"],
        &["score", "sandbox.toml"],
        &["test", "--explain", "sandbox.toml"],
        &["diff", "sandbox.toml", "default"],
    ] {
        assert_ne!(ask(arguments).code, 125, "{arguments:?}");
    }
    let why = ask(&["why", "--profile", "sandbox.toml", "read", "/etc/passwd"]).fails(125);
    assert!(why.contains("not unpacked yet"), "{why}");
    assert!(!caches(&project).join("sandbox").exists());
    assert_eq!(
        ask(&["images", "unpack", "--profile", "sandbox.toml"]).ok(),
        "unpacked\n"
    );
    assert_eq!(
        ask(&["images", "unpack", "--profile", "sandbox.toml"]).ok(),
        "it is unpacked already\n"
    );
    let explained = ask(&["explain", "--profile", "sandbox.toml", "--", "/bin/true"]).ok();
    assert!(
        explained.contains("   1  hold the unpacked root"),
        "{explained}"
    );
    assert!(explained.contains("clone init"), "{explained}");
    let why = ask(&["why", "--profile", "sandbox.toml", "read", "/etc/passwd"]);
    assert_eq!(why.code, 0, "{why:?}");
    assert_eq!(images(&project, &["prune"]).code, 0);
    // A proof is a run.
    assert_eq!(ask(&["test", "sandbox.toml"]).code, 0);
    assert_eq!(cached(&project, "images").len(), 1);
}

#[test]
fn an_archive_is_unpacked_anew_when_it_has_changed() {
    let name = "an_archive_is_unpacked_anew_when_it_has_changed";
    if !needs_busybox(name) {
        return;
    }
    let project = Project::new();
    let with = |text: &str| {
        let mut members = base();
        members.push(file("./etc/text", text));
        archive(&members)
    };
    let (one, two) = (with("one"), with("two"));
    let seen = |rootfs: &str| run(&project, rootfs, "", "cat /etc/text");
    let rootfs = "archive = \"root.tar\"";
    // In place, of the same length, and with the time of its last modification set back.
    let time = project
        .write("root.tar", &one)
        .metadata()
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(seen(rootfs).ok(), "one");
    let path = project.write("root.tar", &two);
    std::fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(time)
        .unwrap();
    assert_eq!(seen(rootfs).ok(), "two");
    assert_eq!(cached(&project, "images").len(), 2);
    let pinned = format!("{rootfs}\ndigest = \"{}\"", sha256(&two));
    assert_eq!(seen(&pinned).ok(), "two");
    // What has been verified need not be there any more.
    project.write("root.tar", &one);
    assert_eq!(seen(&pinned).ok(), "two");
    images(&project, &["prune"]).ok();
    let said = seen(&pinned).fails(125);
    assert!(said.contains("it has the digest sha256:"), "{said}");
    assert_eq!(cached(&project, "images"), [""; 0]);
}

#[test]
fn what_an_image_says_of_commands_holds_where_it_is_let_and_the_profile_is_silent() {
    let name = "what_an_image_says_of_commands_holds_where_it_is_let_and_the_profile_is_silent";
    if !needs_busybox(name) {
        return;
    }
    if !has_ids() {
        return skip(name, "the caller has no subordinate ids");
    }
    let project = Project::new();
    let layout = Layout {
        project: &project,
        name: "layout",
    };
    let config = r#"{"User":"ada","Env":["PATH=/bin","GREETING=hello"],"WorkingDir":"/etc","Entrypoint":["/bin/sh","-c"],"Cmd":["echo $GREETING; pwd; id -u; id -g"]}"#;
    layout.image(&[base()], config);
    let told = |keys: &str, rest: &str| {
        let rootfs = format!("image = \"layout\"\n{keys}");
        done(&mut command(&project, &rootfs, rest, &[]))
    };
    let on = "image_config = true";
    assert_eq!(told(on, AUTO).ok(), "hello\n/etc\n7\n8\n");
    let own = "[user]\nuid_map = \"auto\"\nuid = 3\ngid = 4\n[environment]\nset = { GREETING = \"bye\" }\n[process]\ncwd = \"/bin\"";
    assert_eq!(told(on, own).ok(), "bye\n/bin\n3\n4\n");
    let said = told("", AUTO).fails(125);
    assert!(said.contains("nothing to run"), "{said}");
    let rootfs = "image = \"layout\"";
    let script = "echo $GREETING-$(pwd)-$(id -u)";
    assert_eq!(run(&project, rootfs, AUTO, script).ok(), "-/-0\n");
    let with = format!("{rootfs}\n{on}");
    assert_eq!(run(&project, &with, AUTO, script).ok(), "hello-/etc-7\n");
}

#[test]
fn a_cache_that_others_can_write_to_is_not_used() {
    let project = Project::new();
    project.write("root.tar", archive(&[file("x", "")]));
    let base = caches(&project).join("sandbox");
    std::fs::create_dir(&base).unwrap();
    std::fs::set_permissions(&base, PermissionsExt::from_mode(0o777)).unwrap();
    let said = run(&project, "archive = \"root.tar\"", "", "true").fails(125);
    assert!(said.contains("only the caller may use"), "{said}");
    std::fs::remove_dir(&base).unwrap();
    std::os::unix::fs::symlink(project.path().join("layout"), &base).unwrap();
    let said = run(&project, "archive = \"root.tar\"", "", "true").fails(125);
    assert!(said.contains("only the caller may use"), "{said}");
}

/// Who owns what is in most roots.
const ROOT: &str = "[user]\nuid_map = \"root\"";

/// An archive as the root, whose changes go elsewhere.
fn changed(project: &Project, members: &[Member], changes: &str) -> String {
    project.write("root.tar", archive(members));
    format!("archive = \"root.tar\"\nchanges = \"{changes}\"")
}

#[test]
fn what_is_changed_in_an_unpacked_root_is_gone_with_the_run() {
    if !needs_busybox("what_is_changed_in_an_unpacked_root_is_gone_with_the_run") {
        return;
    }
    let project = Project::new();
    let rootfs = changed(&project, &whole(), "discard");
    let script = "echo more >/etc/group && echo new >/etc/new && cat /etc/group /etc/new";
    for _ in 0..2 {
        assert_eq!(run(&project, &rootfs, ROOT, script).ok(), "more\nnew\n");
    }
    let root = caches(&project).join("sandbox/images");
    let root = root.join(&cached(&project, "images")[0]).join("root");
    let group = std::fs::read_to_string(root.join("etc/group")).unwrap();
    assert_eq!(group, "root:x:0:\nada:x:8:\n");
    assert!(!root.join("etc/new").exists());
}

#[test]
fn what_is_kept_of_an_unpacked_root_belongs_to_one_digest() {
    let test = "what_is_kept_of_an_unpacked_root_belongs_to_one_digest";
    if !needs_busybox(test) {
        return;
    }
    let project = Project::new();
    let state = if is_root() {
        PathBuf::from("/var/lib/sandbox")
    } else {
        project.path().join("state/sandbox")
    };
    let there = state.ancestors().find(|above| above.exists()).unwrap();
    let found = nix::sys::statfs::statfs(there).unwrap();
    if found.filesystem_type() == nix::sys::statfs::OVERLAYFS_SUPER_MAGIC {
        return skip(test, "the folder of changes is on an overlay itself");
    }
    let with = |mut command: Command| {
        command.env("XDG_STATE_HOME", project.path().join("state"));
        command.env("XDG_CACHE_HOME", caches(&project));
        done(&mut command)
    };
    let keep = |rootfs: &str, script: &str| {
        with(command(&project, rootfs, ROOT, &["/bin/sh", "-c", script]))
    };
    let changes = |words: &[&str]| with(project.program(&[&["changes"], words].concat()));
    let rootfs = changed(&project, &base(), "keep");
    let first = keep(&rootfs, "echo kept >/etc/kept; echo more >>/etc/group");
    let name = first.stderr.split("changes diff ").nth(1).unwrap();
    let name = name.split('`').next().unwrap().to_owned();
    assert!(name.starts_with("root.tar-"), "{name}");
    assert_eq!(keep(&rootfs, "cat /etc/kept").stdout, "kept\n");
    // Told as what it is, and not as a conflict, however new the tree is.
    let told = changes(&["list", &name]).ok();
    assert!(
        told.contains("added") && told.contains("etc/kept"),
        "{told}"
    );
    assert!(!told.contains("since"), "{told}");
    // Others use the tree: it is not written to, and a copy may be.
    let refused = changes(&["apply", &name]).fails(125);
    assert!(refused.contains("--onto"), "{refused}");
    let root = caches(&project).join("sandbox/images");
    let root = root.join(&cached(&project, "images")[0]).join("root");
    assert!(!root.join("etc/kept").exists());
    let onto = root.to_str().unwrap();
    let refused = changes(&["apply", "--onto", onto, &name]).fails(125);
    assert!(refused.contains("cache"), "{refused}");
    let copy = project.path().join("copy");
    let copied = Command::new("cp").arg("-a").arg(&root).arg(&copy).status();
    assert!(copied.unwrap().success());
    changes(&["apply", "--onto", copy.to_str().unwrap(), &name]).ok();
    let read = |path: &str| std::fs::read_to_string(copy.join(path)).unwrap();
    assert_eq!(read("etc/kept"), "kept\n");
    assert_eq!(read("etc/group"), "root:x:0:\nada:x:8:\nmore\n");
    // Another content has changes of its own; a name that is given belongs to the first.
    let other = [&base()[..], &[file("./etc/other", "x")]].concat();
    let second = changed(&project, &other, "keep");
    assert_eq!(
        keep(&second, "[ -e /etc/kept ] || echo none").ok(),
        "none\n"
    );
    let named = format!("{second}\nchanges_name = \"{name}\"");
    let refused = keep(&named, "true").fails(125);
    assert!(refused.contains("are changes to"), "{refused}");
    // What is pruned is unpacked anew, and the changes are there.
    images(&project, &["prune"]).ok();
    let rootfs = changed(&project, &base(), "keep");
    assert_eq!(keep(&rootfs, "cat /etc/kept").stdout, "kept\n");
    changes(&["discard", &name]).ok();
    let left = changes(&["list", "--json"]).ok();
    assert!(!left.contains(&name), "{left}");
}

#[test]
fn an_unpacked_root_is_never_written_to() {
    let project = Project::new();
    let rootfs = changed(&project, &base()[..1], "write");
    let refused = run(&project, &rootfs, "", "true").fails(125);
    assert!(refused.contains("every run that uses it"), "{refused}");
}
