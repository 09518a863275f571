//! Groups that systemd keeps, in made-up trees.

use super::*;
use crate::host::cgroup::holder::Holder;
use Controller::{Cpu, Cpuset, Io, Memory, Pids};
use std::os::unix::net::UnixListener;

const MANAGER: &str = "user.slice/user-7.slice/user@7.service";

/// A machine on which user 7 has logged in, with a manager that can be called if `called`.
fn login(name: &str, called: bool) -> (Fake, Option<UnixListener>) {
    let mut fake = Fake::new(name);
    for group in ["user.slice", "user.slice/user-7.slice", MANAGER] {
        fake.group(group, "", &[]);
    }
    fs::write(fake.0.join("cgroup.controllers"), "cpu io memory pids\n").unwrap();
    fake.group("user.slice/user-7.slice/session-1.scope", "7\n", &[]);
    fake.group(&format!("{MANAGER}/app.slice"), "", &[]);
    fake.group(&format!("{MANAGER}/app.slice/app-x.slice"), "", &[]);
    fake.group(&format!("{MANAGER}/app.slice/term.scope"), "7\n", &[]);
    let path = fake.0.join("private");
    let listener = called.then(|| UnixListener::bind(&path).unwrap());
    fake.1.uid = 7;
    fake.1.user = vec![
        Socket {
            path: fake.0.join("nothing"),
            bus: false,
        },
        Socket { path, bus: true },
    ];
    (fake, listener)
}

fn scope(place: Result<(String, Kind), NoPlace>) -> (String, Scope) {
    match place {
        Ok((base, Kind::Scope(scope))) => (base, *scope),
        other => panic!("no scope: {other:?}"),
    }
}

#[test]
fn a_unit_that_systemd_did_not_delegate_is_not_divided() {
    let (fake, _listener) = login("unit", true);
    let own = |rest: &str| format!("/{MANAGER}/{rest}");
    let (base, asked) = scope(fake.place(&own("app.slice/term.scope"), &[Memory, Pids]));
    assert_eq!(base, format!("{MANAGER}/app.slice/{}", asked.unit));
    assert!(asked.unit.starts_with(&format!("{}-", group_name())));
    assert_eq!(run_of_scope(&asked.unit), run_name(&group_name()));
    assert_eq!(asked.dir, fake.0.join(&base));
    assert_eq!(asked.manager, Manager::User);
    assert_eq!(asked.socket, fake.1.user[1]);
    assert_eq!(asked.slice, "app.slice");
    assert_eq!(asked.part_of.as_deref(), Some("term.scope"));
    assert_eq!(asked.tasks, Some(99));

    // It stays in the slices whose limits it has.
    fake.group(&own("app.slice/app-x.slice/y.service")[1..], "7\n", &[]);
    let (base, asked) = scope(fake.place(&own("app.slice/app-x.slice/y.service"), &[Cpu]));
    assert!(base.starts_with(&format!("{MANAGER}/app.slice/app-x.slice/sandbox-")));
    assert_eq!(asked.slice, "app-x.slice");
    assert_eq!(asked.part_of.as_deref(), Some("y.service"));

    // A group inside a unit is there because the unit was delegated.
    fake.group(&own("app.slice/term.scope/sub")[1..], "7\n", &[]);
    let (_, kind) = fake
        .place(&own("app.slice/term.scope/sub"), &[Pids])
        .unwrap();
    assert_eq!(kind, Kind::Leaf);

    // Limits of our own unit would not hold in another, so it is divided after all; one of tasks
    // every unit has.
    let limited = own("app.slice/limited.scope");
    fake.group(&limited[1..], "7\n", &[("memory.max", "4096\n")]);
    let found = fake.place(&limited, &[Pids]).unwrap();
    assert_eq!(found, (limited[1..].to_owned(), Kind::Leaf));
    fake.group(
        &limited[1..],
        "7\n",
        &[("cgroup.controllers", "pids\n"), ("memory.max", "1\n")],
    );
    let refused = fake.place(&limited, &[Memory]).unwrap_err();
    assert!(matches!(refused, NoPlace::Limited { .. }), "{refused}");
}

#[test]
fn a_run_inside_a_run_never_leaves_it_for_a_scope() {
    let (fake, _listener) = login("nested", true);
    let run = format!("{MANAGER}/app.slice/sandbox-1-2.scope");
    for (own, base) in [
        ("sandbox.leaf", run.clone()),
        ("sandbox-1-2", format!("{run}/sandbox-1-2")),
    ] {
        fake.group(&run, "", &[]);
        fake.group(&format!("{run}/{own}"), "7\n", &[]);
        let found = fake.place(&format!("/{run}/{own}"), &[Memory]).unwrap();
        assert_eq!(found, (base, Kind::Leaf));
    }
}

#[test]
fn without_a_manager_a_unit_is_divided_but_nothing_is_made_beside_it() {
    let (fake, _) = login("alone", false);
    let own = format!("{MANAGER}/app.slice/term.scope");
    let found = fake.place(&format!("/{own}"), &[Pids]).unwrap();
    assert_eq!(found, (own, Kind::Leaf));
}

#[test]
fn a_login_is_beside_its_users_manager() {
    let (fake, _listener) = login("login", true);
    let own = "/user.slice/user-7.slice/session-1.scope";
    let dir = fake.0.join(&own[1..]);
    let all = fake.at(own);
    let managed = || all.managed(&dir, &fake.0).unwrap();
    assert_eq!(managed().unit, None);
    let Ok(Place::V2 { kind, base, .. }) = all.scope(&dir, managed(), &[Memory]) else {
        panic!("no scope");
    };
    let (_, asked) = scope(Ok((base.display().to_string(), kind)));
    assert_eq!(
        asked.dir,
        fake.0.join(MANAGER).join("app.slice").join(&asked.unit)
    );
    assert_eq!((asked.slice.as_str(), asked.part_of), ("app.slice", None));

    // What the manager has not, it cannot give; what nobody has is another matter.
    let no = |wanted| all.scope(&dir, managed(), &[wanted]).unwrap_err();
    let words = no(Io).to_string();
    assert!(
        words.starts_with("systemd does not delegate the io controller"),
        "{words}"
    );
    assert!(
        no(Io)
            .remedy()
            .contains("Delegate=cpu cpuset io memory pids")
    );
    assert!(matches!(no(Cpuset), NoPlace::Missing { .. }));

    // The login's own limits would be left behind.
    fs::write(dir.join("memory.max"), "4096\n").unwrap();
    assert!(matches!(no(Memory), NoPlace::Limited { .. }));

    // Somebody else's login, and no login at all.
    for own in [
        "/user.slice/user-8.slice/session-1.scope",
        "/system.slice/ci.service",
    ] {
        assert!(
            fake.at(own)
                .managed(&fake.0.join(&own[1..]), &fake.0)
                .is_none()
        );
    }
    // A mount that shows no more than our own group does not show the manager.
    assert!(all.managed(&dir, &dir).is_none());
}

#[test]
fn where_there_is_no_manager_it_is_said_where_it_was_looked_for() {
    let (fake, _) = login("none", false);
    let own = "/user.slice/user-7.slice/session-1.scope";
    let dir = fake.0.join(&own[1..]);
    let all = fake.at(own);
    let managed = all.managed(&dir, &fake.0).unwrap();
    let no = all.scope(&dir, managed, &[Pids]).unwrap_err();
    let top = fake.0.display();
    assert_eq!(
        no.to_string(),
        format!(
            "{top}{own} is not delegated to uid 7, and no systemd user manager can be asked for \
             another group: there is neither {top}/nothing nor {top}/private"
        )
    );
    assert!(no.remedy().contains("enable-linger"));
}

#[test]
fn root_asks_the_manager_that_started_its_unit() {
    let (mut fake, _listener) = login("root", true);
    let socket = fake.1.user[1].clone();
    fake.1 = Surroundings {
        uid: 0,
        user: Vec::new(),
        system: Some((socket, "/".into())),
    };
    for unit in ["x.service", "init.scope"] {
        fake.group(&format!("system.slice/{unit}"), "7\n", &[]);
        let (base, asked) = scope(fake.place(&format!("/system.slice/{unit}"), &[Memory]));
        assert_eq!(base, format!("system.slice/{}", asked.unit));
        assert_eq!(asked.manager, Manager::System);
        assert_eq!(asked.part_of.is_some(), unit == "x.service");
    }
    // A group of a container's or by hand is no unit.
    fake.group("mine", "7\n", &[]);
    fake.group("mine/own", "7\n", &[]);
    let (_, kind) = fake.place("/mine/own", &[Pids]).unwrap();
    assert_eq!(kind, Kind::Leaf);
    // A manager inside a container has its units below the container's group.
    fake.1.system.as_mut().unwrap().1 = "/mine".into();
    fake.group("mine/a.service", "7\n", &[]);
    let (base, asked) = scope(fake.place("/mine/a.service", &[Pids]));
    assert_eq!(
        (base, asked.slice.as_str()),
        (format!("mine/{}", asked.unit), "-.slice")
    );
}

#[test]
fn a_scope_is_told_to_be_a_runs_only_in_the_pid_namespace_of_the_run() {
    let own = scope_name();
    assert!(run_of_scope(&own).is_some());
    let run = own.rsplit_once('-').unwrap().0;
    for other in [
        format!("{run}.scope"),
        format!("{run}-1.scope"),
        own.replace(".scope", ".slice"),
        own.replace("sandbox-", "other-"),
    ] {
        assert_eq!(run_of_scope(&other), None, "{other}");
    }
}

#[test]
fn the_place_of_the_system_manager_is_read_off_its_own_group() {
    assert_eq!(systemd::above_init("0::/init.scope\n"), Some("/".into()));
    let inner = "1:name=systemd:/x\n0::/machine.slice/a.scope/init.scope\n";
    assert_eq!(
        systemd::above_init(inner),
        Some("/machine.slice/a.scope".into())
    );
    assert_eq!(systemd::above_init("0::/docker/1\n"), None);
    assert_eq!(systemd::above_init(""), None);
}

#[test]
fn the_address_of_a_bus_has_a_path_or_is_passed_over() {
    let path = |text: &str| systemd::bus_path(text.into());
    assert_eq!(
        path("unix:path=/run/user/7/bus"),
        Some("/run/user/7/bus".into())
    );
    assert_eq!(
        path("tcp:host=x;unix:guid=1,path=/b,x=y"),
        Some("/b".into())
    );
    for other in [
        "",
        "unix:abstract=/tmp/x",
        "unix:path=/a%20b",
        "unixexec:path=/x",
    ] {
        assert_eq!(path(other), None, "{other}");
    }
}

#[test]
fn whose_a_group_is_that_cannot_be_written_is_told_by_its_path() {
    let words = |path: &str| NoPlace::NotDelegated { path: path.into() }.to_string();
    let slurm = "/sys/fs/cgroup/system.slice/slurmstepd.scope/job_4/step_0/user/cgroup.procs";
    assert!(words(slurm).ends_with("by this user: it belongs to a step of Slurm"));
    for (path, holder) in [
        (
            "/sys/fs/cgroup/memory/slurm/uid_7/job_1/step_0",
            Holder::Slurm,
        ),
        (
            "/sys/fs/cgroup/system.slice/docker-ab.scope",
            Holder::Container,
        ),
        (
            "/sys/fs/cgroup/kubepods.slice/pod.slice/x",
            Holder::Container,
        ),
        (
            "/sys/fs/cgroup/system.slice/actions.runner.service",
            Holder::Service,
        ),
    ] {
        assert_eq!(Holder::of(Path::new(path)), Some(holder), "{path}");
        let no = NoPlace::NotDelegated { path: path.into() };
        assert_eq!(no.remedy(), holder.remedy());
    }
    assert_eq!(Holder::of(Path::new("/sys/fs/cgroup/x/cgroup.procs")), None);
}
