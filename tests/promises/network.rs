//! Networks: what each mode connects, and that nothing of it outlives its run.

mod filter;
mod forward;
mod lab;
mod names;

use crate::support::{Project, done, is_root, skip};
use lab::{CLIENT, Lab, Service, hidden};
use std::path::Path;

/// How many sandboxes: `few` by default, `many` under `SANDBOX_STRESS=full`.
fn times(few: usize, many: usize) -> usize {
    match std::env::var("SANDBOX_STRESS").as_deref() {
        Ok("full") => many,
        Ok(number) => number.parse().unwrap_or(few),
        Err(_) => few,
    }
}

/// Both ends, of IPv4 and IPv6.
const PAIR: &str = r#"[network]
mode = "veth"
address = ["172.2.0.2/24", "fd00:2::2/64"]
"#;

/// That the command may ping.
const PING: &str = "[capabilities]\nkeep = [\"net_raw\"]\nambient = [\"net_raw\"]\n";

#[test]
fn a_server_on_the_loopback_of_a_sandbox_is_not_seen_by_the_host() {
    let Some(lab) = Lab::new("a_server_on_the_loopback_of_a_sandbox_is_not_seen_by_the_host")
    else {
        return;
    };
    let project = Project::new();
    let script = "busybox ping -c 1 127.0.0.1 >/dev/null || exit 7
        python3 -m http.server 8000 --bind 127.0.0.1 >/dev/null 2>&1 &
        until python3 -c 'import urllib.request as r; r.urlopen(\"http://127.0.0.1:8000/\")' 2>/dev/null; do sleep 0.1; done
        touch ready; until [ -e go ]; do sleep 0.1; done";
    let service = Service::start(&mut lab.sandbox(&project, PING, &["sh", "-c", script]));
    crate::live::eventually("it serves itself", || project.path().join("ready").exists());
    assert_eq!(lab.ask("tcp", "127.0.0.1", "8000"), None);
    project.write("go", "");
    drop(service);
    lab.is_clean(&[]);
}

#[test]
fn a_pair_connects_sandbox_and_host_both_ways_and_the_command_cannot_change_it() {
    let test = "a_pair_connects_sandbox_and_host_both_ways_and_the_command_cannot_change_it";
    let Some(lab) = Lab::of_root(test) else {
        return;
    };
    let project = Project::new();
    let inside = lab.run(
        &project,
        &format!("{PAIR}{PING}"),
        "ip -o address show eth0; ip route; cat /etc/hosts
         busybox ping -c 1 127.0.0.1 >/dev/null && busybox ping -c 1 172.2.0.1 >/dev/null &&
         busybox ping -6 -c 1 fd00:2::1 >/dev/null || exit 7
         ip link set eth0 down 2>&1 || ip address add 172.2.0.9/24 dev eth0 2>&1 || ip route add default via 172.2.0.1 2>&1 ||
         cat /proc/sys/net/ipv4/conf/eth0/forwarding",
    );
    let inside = inside.ok();
    for words in [
        "inet 172.2.0.2/24 scope global eth0",
        "inet6 fd00:2::2/64 scope global",
        "127.0.1.1 sandbox",
    ] {
        assert!(inside.contains(words), "{words}: {inside}");
    }
    assert_eq!(
        inside.matches("Operation not permitted").count(),
        3,
        "{inside}"
    );
    assert!(!inside.contains("default via"), "{inside}");
    lab.is_clean(&[]);

    let service = lab.serving(&project, PAIR, "8000");
    assert_eq!(lab.hear("tcp", "172.2.0.2", "8000"), "172.2.0.1");
    assert_eq!(lab.hear("udp", "fd00:2::2", "8000"), "echo fd00:2::1");
    lab.shell("busybox ping -c 1 172.2.0.2").ok();
    // What is given once is nobody else's.
    let said = lab.run(&project, PAIR, "true").fails(125);
    assert!(
        said.contains("is in the network of 172.2.0.2/24 already"),
        "{said}"
    );
    drop(service);
    lab.is_clean(&[]);
}

#[test]
fn runs_side_by_side_take_different_networks_of_the_pool_until_none_is_left() {
    let test = "runs_side_by_side_take_different_networks_of_the_pool_until_none_is_left";
    let Some(lab) = Lab::of_root(test) else {
        return;
    };
    let profile = "[network]\nmode = \"veth\"\npool = [\"10.250.0.0/29\", \"fd00:250::/63\"]\n";
    let (one, other, third) = (Project::new(), Project::new(), Project::new());
    let script = "ip -o address show eth0 | awk '{ print $4 }'; touch ready; sleep 300";
    let mut services = Vec::new();
    for project in [&one, &other] {
        services.push(Service::start(&mut lab.sandbox(
            project,
            profile,
            &["sh", "-c", script],
        )));
        crate::live::eventually("it runs", || project.path().join("ready").exists());
    }
    let said = lab.run(&third, profile, "true").fails(125);
    for pool in ["10.250.0.0/29", "fd00:250::/63"] {
        let words = format!("every network of the pool {pool} is in use");
        assert!(
            said.contains(&words) && said.contains("sandbox.toml:4"),
            "{said}"
        );
    }
    let mut networks: Vec<_> = services.into_iter().map(|one| one.end().stdout).collect();
    networks.sort();
    assert!(networks[0].contains("10.250.0.2/30"), "{networks:?}");
    assert!(networks[1].contains("10.250.0.6/30"), "{networks:?}");
    assert_eq!(lab.run(&third, profile, "true").code, 0);
    lab.is_clean(&[]);
}

#[test]
fn with_net_admin_the_command_acts_on_its_own_network_alone() {
    let Some(lab) = Lab::of_root("with_net_admin_the_command_acts_on_its_own_network_alone") else {
        return;
    };
    let project = Project::new();
    let profile =
        format!("{PAIR}[capabilities]\nkeep = [\"net_admin\"]\nambient = [\"net_admin\"]\n");
    lab.shell("ip link add br0 type bridge").ok();
    let script = "ip link set eth0 mtu 1400 && ip link del br0 2>&1; ip -o link";
    let inside = lab.run(&project, &profile, script).ok();
    assert!(
        inside.contains("Cannot find device") && inside.contains("mtu 1400"),
        "{inside}"
    );
    lab.is_clean(&["br0"]);
    // Where it keeps power over mounts too, the network belongs to the namespace around it.
    let profile = format!(
        "{PAIR}[capabilities]\nkeep = [\"net_admin\", \"sys_admin\"]\nambient = [\"net_admin\"]\n"
    );
    let inside = lab
        .run(&project, &profile, "ip link set eth0 mtu 1400 2>&1")
        .code;
    assert_ne!(inside, 0);
}

/// By `world`, of which only `world.test` is known, names are found below the domain; and the file says all that is asked for.
#[test]
fn names_are_looked_up_below_the_domains_and_with_the_options_of_the_profile() {
    let test = "names_are_looked_up_below_the_domains_and_with_the_options_of_the_profile";
    let Some(lab) = Lab::with_pasta(test) else {
        return;
    };
    let _world = lab.world();
    let project = Project::new();
    let profile = format!(
        "{USER}dns_search = [\"elsewhere.test\", \"test\"]\ndns_options = [\"ndots:2\", \"attempts:5\"]\n"
    );
    let script = "cat /etc/resolv.conf; getent ahostsv4 world | head -n 1";
    let found = lab.run(&project, &profile, script).ok();
    let (file, found) = found.split_at(found.find("198.51.100.1 ").unwrap_or(found.len()));
    assert_eq!(
        file,
        "nameserver 198.51.100.1\nsearch elsewhere.test test\noptions ndots:2 attempts:5\n"
    );
    assert!(found.contains("STREAM"), "{found}");
    let said = lab.run(&project, USER, "getent ahostsv4 world");
    assert_eq!(said.code, 2, "{said:?}");
    lab.is_clean(&["wan0"]);
}

#[test]
fn the_interface_has_the_hardware_address_of_the_profile() {
    let Some(lab) = Lab::of_root("the_interface_has_the_hardware_address_of_the_profile") else {
        return;
    };
    let project = Project::new();
    let profile = format!("{PAIR}hardware_address = \"02:00:5e:10:00:0A\"\n");
    let script = "ip -o link show eth0 | grep -o 'ether [0-9a-f:]*'";
    let said = lab.run(&project, &profile, script);
    assert_eq!(said.ok(), "ether 02:00:5e:10:00:0a\n");
    let other = lab.run(&project, PAIR, script).ok();
    assert!(
        other.starts_with("ether ") && !other.contains("02:00:5e:10:00:0a"),
        "{other}"
    );
    lab.is_clean(&[]);
}

#[test]
fn sandboxes_on_a_bridge_reach_each_other_unless_they_are_isolated() {
    let Some(lab) = Lab::of_root("sandboxes_on_a_bridge_reach_each_other_unless_they_are_isolated")
    else {
        return;
    };
    lab.shell(
        "ip link add br0 type bridge && ip address add 10.9.0.1/24 dev br0 && ip link set br0 up",
    )
    .ok();
    for isolated in [false, true] {
        let (one, other) = (Project::new(), Project::new());
        let profile = |address: &str| {
            format!(
                "[network]\nmode = \"veth\"\nbridge = \"br0\"\nisolated = {isolated}\naddress = [\"{address}/24\", \"fd00:9::{}/64\"]\n",
                address.rsplit('.').next().unwrap()
            )
        };
        let service = lab.serving(&one, &profile("10.9.0.2"), "8000");
        assert_eq!(lab.hear("tcp", "10.9.0.2", "8000"), "10.9.0.1");
        for (to, from) in [("10.9.0.2", "10.9.0.3"), ("fd00:9::2", "fd00:9::3")] {
            let script = format!(
                "import socket\ns = socket.create_connection(('{to}', 8000), 2)\ns.send(b'x')\nprint(s.recv(100).decode(), end='')"
            );
            let asked =
                done(&mut lab.sandbox(&other, &profile("10.9.0.3"), &["python3", "-c", &script]));
            match isolated {
                false => assert_eq!(asked.ok(), from),
                true => assert_eq!(asked.code, 1, "{asked:?}"),
            }
        }
        drop(service);
        lab.is_clean(&["br0"]);
    }
    let missing = "[network]\nmode = \"veth\"\nbridge = \"br9\"\naddress = [\"10.9.0.2/24\"]\n";
    let said = lab.run(&Project::new(), missing, "true").fails(125);
    assert!(said.contains("ip link add br9 type bridge"), "{said}");
}

#[test]
fn the_next_with_an_address_on_a_bridge_is_reached_by_those_who_knew_the_one_before() {
    let test = "the_next_with_an_address_on_a_bridge_is_reached_by_those_who_knew_the_one_before";
    let Some(lab) = Lab::of_root(test) else {
        return;
    };
    // What is known of others is not asked again for ten minutes.
    lab.shell(
        "ip link add br0 type bridge && ip address add 10.9.0.1/24 dev br0 && ip address add fd00:9::1/64 dev br0 nodad && ip link set br0 up \
         && for family in ipv4 ipv6; do echo 600000 >/proc/sys/net/$family/neigh/br0/base_reachable_time_ms; done",
    )
    .ok();
    for address in ["10.9.0.2", "fd00:9::2"] {
        let bits = if address.contains(':') { 64 } else { 24 };
        let profile = format!(
            "[network]\nmode = \"veth\"\nbridge = \"br0\"\naddress = [\"{address}/{bits}\"]\n"
        );
        let mut known = Vec::new();
        for _ in 0..2 {
            let project = Project::new();
            let service = lab.serving(&project, &profile, "8000");
            lab.hear("tcp", address, "8000");
            let state = format!("ip neighbour show {address} dev br0 nud reachable");
            known.push(lab.shell(&state).ok());
            drop(service);
        }
        assert!(known[0].contains(" lladdr 02:"), "{known:?}");
        assert_eq!(known[0], known[1]);
    }
}

#[test]
fn addresses_on_a_bridge_are_chosen_so_that_nobody_has_two_and_nobody_elses() {
    let test = "addresses_on_a_bridge_are_chosen_so_that_nobody_has_two_and_nobody_elses";
    let Some(lab) = Lab::of_root(test) else {
        return;
    };
    // Somebody who is no sandbox has 2 to 8 of 14 addresses.
    let world = lab.world();
    lab.shell("ip link add br0 type bridge && ip address add 10.9.0.1/28 dev br0 && ip address add fd00:9::1/124 dev br0 nodad && ip link set br0 up && ip link set wan0 master br0")
        .ok();
    let theirs = "for n in 2 3 4 5 6 7 8; do ip address add 10.9.0.$n/28 dev wan1 && ip address add fd00:9::$n/124 dev wan1 nodad || exit 1; done";
    world.lab.shell(theirs).ok();
    for address in ["10.9.0.2", "fd00:9::2"] {
        lab.hear("tcp", address, "9000");
    }
    let profile = "[network]\nmode = \"veth\"\nbridge = \"br0\"\naddress = \"auto\"\n";
    let script = "ip -o address show dev eth0 scope global | awk '{ print $4 }' >addresses; touch ready; sleep 300";
    let start = |project: &Project| {
        let _ = std::fs::remove_file(project.path().join("ready"));
        Service::start(&mut lab.sandbox(project, profile, &["sh", "-c", script]))
    };
    let has = |project: &Project| {
        crate::live::eventually("it runs", || project.path().join("ready").exists());
        let said = std::fs::read_to_string(project.path().join("addresses")).unwrap();
        let last = |line: &str| {
            let (address, bits) = line.split_once('/').unwrap();
            match address.strip_prefix("10.9.0.") {
                Some(number) => (bits == "28").then(|| number.parse::<u8>().unwrap()),
                None => (bits == "124")
                    .then(|| u8::from_str_radix(&address["fd00:9::".len()..], 16).unwrap()),
            }
            .unwrap()
        };
        said.lines().map(last).collect::<Vec<_>>()
    };
    let projects: Vec<_> = (0..6).map(|_| Project::new()).collect();
    let mut running: Vec<_> = projects.iter().map(start).collect();
    let all: Vec<_> = projects.iter().map(has).collect();
    for family in 0..2 {
        let mut chosen: Vec<_> = all.iter().map(|addresses| addresses[family]).collect();
        chosen.sort_unstable();
        chosen.dedup();
        assert_eq!(chosen.len(), 6, "{all:?}");
        assert!(chosen.iter().all(|one| (9..=15).contains(one)), "{all:?}");
    }
    // None is left of IPv4.
    let said = lab.run(&Project::new(), profile, "true").fails(125);
    for words in [
        "sandbox.toml:5",
        "every address of the network of 10.9.0.1/28",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // Whatever the end of one, its address is free again.
    for kill in [true, false] {
        let mut one = running.pop().unwrap();
        match kill {
            true => one.kill(),
            false => assert_eq!(one.end().code, 143),
        }
        crate::live::eventually("its interface is gone", || {
            let ports = lab.shell("ip -o link show master br0").ok();
            ports.matches(": sbx").count() == 5
        });
        running.push(start(&projects[5]));
        assert_eq!(has(&projects[5])[0], all[5][0]);
    }
    // The host has not kept whom it has asked for.
    let known = lab.shell("ip neighbour show dev br0").ok();
    assert!(
        !known.contains("INCOMPLETE") && !known.contains("FAILED"),
        "{known}"
    );
    drop(running);
    lab.is_clean(&["wan0", "br0"]);
}

#[test]
fn published_ports_of_a_pair_lead_inside_and_no_others() {
    let Some(lab) = Lab::of_root("published_ports_of_a_pair_lead_inside_and_no_others") else {
        return;
    };
    let world = lab.world();
    let project = Project::new();
    let profile = r#"[network]
mode = "veth"
publish = ["127.0.0.1:8080:8000", "8443:8000/tcp", "5353:8000/udp"]
"#;
    lab.shell("echo 1 > /proc/sys/net/ipv4/ip_forward").ok();
    let service = lab.serving(&project, profile, "8000");
    lab.hear("tcp", "127.0.0.1", "8080");
    lab.hear("tcp", "127.0.0.1", "8443");
    assert!(
        lab.hear("udp", "127.0.0.1", "5353")
            .starts_with("echo 10.213.")
    );
    lab.hear("tcp", "198.51.100.2", "8443");
    // From elsewhere: what is published on all addresses, and not what is on loopback.
    assert!(
        world
            .lab
            .hear("tcp", "198.51.100.2", "8443")
            .starts_with("10.213.")
    );
    world.lab.hear("udp", "198.51.100.2", "5353");
    assert_eq!(world.lab.ask("tcp", "198.51.100.2", "8080"), None);
    assert_eq!(world.lab.ask("tcp", "198.51.100.2", "8000"), None);
    // One at a time.
    let other = Project::new();
    let said = lab.run(&other, profile, "true").fails(125);
    assert!(
        said.contains("reserve the tcp port 8080 of 127.0.0.1"),
        "{said}"
    );
    assert!(said.contains("sandbox.toml:4"), "{said}");
    service.end();
    lab.is_clean(&["wan0"]);
    lab.run(&other, profile, "true").ok();
}

#[test]
fn with_nat_the_world_is_reached_under_the_hosts_address_and_by_name() {
    let Some(lab) =
        Lab::of_root("with_nat_the_world_is_reached_under_the_hosts_address_and_by_name")
    else {
        return;
    };
    let world = lab.world();
    let project = Project::new();
    let profile = "[network]\nmode = \"veth\"\nnat = true\ndns = [\"198.51.100.1\"]\n";
    let said = lab.run(&project, profile, "true").fails(125);
    assert!(said.contains("sysctl -w net.ipv4.ip_forward=1"), "{said}");
    lab.shell("echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding; ip -6 route replace default via fd11::1").ok();
    let ask = "import socket, sys\nfor to in sys.argv[1:]:\n    s = socket.create_connection((to, 9000), 5)\n    s.send(b'x')\n    print(s.recv(100).decode())";
    let words = [
        "python3",
        "-c",
        ask,
        "198.51.100.1",
        "world.test",
        "fd11::1",
    ];
    let answers = done(&mut lab.sandbox(&project, profile, &words)).ok();
    assert_eq!(answers, "198.51.100.2\n198.51.100.2\nfd11::2\n");
    // Without it there is no way, also for who has a route.
    let own = "[network]\nmode = \"veth\"\naddress = [\"172.2.0.2/24\"]\n[capabilities]\nkeep = [\"net_admin\"]\nambient = [\"net_admin\"]\n";
    world
        .lab
        .shell("ip route add 172.2.0.0/24 via 198.51.100.2")
        .ok();
    let script =
        "ip route add default via 172.2.0.1 && busybox nc -w 2 198.51.100.1 9000 </dev/null";
    let said = lab.run(&project, own, script);
    assert!(
        said.code != 0 && !said.stderr.contains("RTNETLINK"),
        "{said:?}"
    );
    let routed = own.replace(
        "[capabilities]",
        "gateway = [\"172.2.0.1\"]\n[capabilities]",
    );
    let script = "echo x | busybox nc -w 5 198.51.100.1 9000";
    assert_eq!(lab.run(&project, &routed, script).ok(), "172.2.0.2");
    let plain = "[network]\nmode = \"veth\"\n";
    assert_ne!(done(&mut lab.sandbox(&project, plain, &words)).code, 0);
    lab.is_clean(&["wan0"]);
    drop(world);
}

#[test]
fn a_named_namespace_is_joined_with_the_files_that_belong_to_it() {
    let test = "a_named_namespace_is_joined_with_the_files_that_belong_to_it";
    if !is_root() {
        return skip(test, "only root makes named namespaces");
    }
    let name = format!("sbx-test-{}", std::process::id());
    /// Takes it away again.
    struct Named(String);
    impl Drop for Named {
        fn drop(&mut self) {
            let _ = std::process::Command::new("ip")
                .args(["netns", "del", &self.0])
                .status();
            let _ = std::fs::remove_dir_all(Path::new("/etc/netns").join(&self.0));
        }
    }
    let project = Project::new();
    let profile = format!("version = 1\n[network]\nmode = \"join\"\nnamespace = \"{name}\"\n");
    let said = project.run(&profile, "true").fails(125);
    assert!(said.contains(&format!("ip netns add {name}")), "{said}");
    let named = Named(name.clone());
    let ip = |words: &str| {
        let status = std::process::Command::new("ip")
            .args(words.split(' '))
            .status();
        assert!(status.unwrap().success(), "{words}");
    };
    ip(&format!("netns add {name}"));
    ip(&format!("-n {name} link set lo up"));
    ip(&format!("-n {name} address add 192.0.2.77/32 dev lo"));
    let files = Path::new("/etc/netns").join(&name);
    std::fs::create_dir_all(&files).unwrap();
    std::fs::write(files.join("resolv.conf"), "nameserver 192.0.2.53\n").unwrap();
    let script = "cat /etc/resolv.conf; ip -o -4 address; ip link set lo down 2>&1";
    let inside = project.run(&profile, script);
    assert_eq!(inside.code, 2, "{inside:?}");
    for words in [
        "nameserver 192.0.2.53",
        "192.0.2.77/32",
        "Operation not permitted",
    ] {
        assert!(inside.stdout.contains(words), "{words}: {inside:?}");
    }
    // By its path it is the same.
    let path =
        format!("version = 1\n[network]\nmode = \"join\"\nnamespace = \"/run/netns/{name}\"\n");
    assert!(
        project
            .run(&path, "ip -o -4 address")
            .ok()
            .contains("192.0.2.77/32")
    );
    drop(named);
}

/// What a network for plain users publishes.
const USER: &str = r#"[network]
mode = "user"
dns = ["198.51.100.1"]
publish = ["127.0.0.1:8080:8000", "8443:8000/tcp", "[::1]:8082:8000", "5353:8000/udp"]
"#;

#[test]
fn a_plain_user_reaches_the_world_by_pasta_and_not_the_hosts_loopback() {
    let test = "a_plain_user_reaches_the_world_by_pasta_and_not_the_hosts_loopback";
    let Some(lab) = Lab::with_pasta(test) else {
        return;
    };
    let _world = lab.world();
    let project = Project::new();
    // A service of the host's loopback.
    let on_host = [
        "python3",
        "-m",
        "http.server",
        "7000",
        "--bind",
        "127.0.0.1",
    ];
    let service = Service::start(&mut lab.command(&on_host));
    // A loaded machine may keep pasta longer than a client waits: it asks again.
    let ask = "import socket, sys\ndef ask(to):\n    try:\n        s = socket.create_connection((to, 9000), 5)\n        s.send(b'x')\n        return s.recv(100).decode()\n    except TimeoutError: return None\nfor to in sys.argv[1:]: print(next(filter(None, (ask(to) for _ in range(20)))))";
    let words = [
        "python3",
        "-c",
        ask,
        "198.51.100.1",
        "world.test",
        "fd11::1",
    ];
    let answers = done(&mut lab.sandbox(&project, USER, &words)).ok();
    assert_eq!(answers, "198.51.100.2\n198.51.100.2\nfd11::2\n");
    let script = "import socket\nfor to in ('127.0.0.1', '198.51.100.1', '198.51.100.2'):\n    try:\n        socket.create_connection((to, 7000), 2)\n        print('reached', to)\n    except OSError: pass";
    assert_eq!(
        done(&mut lab.sandbox(&project, USER, &["python3", "-c", script])).ok(),
        ""
    );
    let script = "ip link set eth0 down 2>&1; ip -o link | wc -l; ls /proc | grep -c '^[0-9]'";
    let inside = lab.run(&project, USER, script).ok();
    assert!(
        inside.contains("Operation not permitted") && inside.contains("\n2\n"),
        "{inside}"
    );
    drop(service);
    lab.is_clean(&["wan0"]);
}

#[test]
fn published_ports_of_a_plain_user_lead_inside_and_no_others() {
    let Some(lab) = Lab::with_pasta("published_ports_of_a_plain_user_lead_inside_and_no_others")
    else {
        return;
    };
    let world = lab.world();
    let (project, other) = (Project::new(), Project::new());
    let service = lab.serving(&project, USER, "8000");
    for (kind, address, port) in [
        ("tcp", "127.0.0.1", "8080"),
        ("tcp", "127.0.0.1", "8443"),
        ("tcp", "::1", "8082"),
        ("udp", "127.0.0.1", "5353"),
    ] {
        lab.hear(kind, address, port);
    }
    world.lab.hear("tcp", "198.51.100.2", "8443");
    assert_eq!(world.lab.ask("tcp", "198.51.100.2", "8080"), None);
    assert_eq!(lab.ask("tcp", "127.0.0.1", "8000"), None);
    let said = lab.run(&other, USER, "true").fails(125);
    assert!(
        said.contains("sandbox.toml:5") && said.contains("8080"),
        "{said}"
    );
    service.end();
    lab.is_clean(&["wan0"]);
}

#[test]
fn nothing_of_a_network_outlives_its_run_however_it_ends() {
    let Some(lab) = Lab::with_pasta("nothing_of_a_network_outlives_its_run_however_it_ends") else {
        return;
    };
    let _world = lab.world();
    let mut profiles = vec!["[network]\nmode = \"user\"\npublish = [\"127.0.0.1:0000:8000\"]\n"];
    if is_root() {
        profiles.push("[network]\nmode = \"veth\"\npublish = [\"127.0.0.1:0000:8000\"]\n");
    }
    const AT_ONCE: usize = 20;
    let rounds = times(20, 200).div_ceil(AT_ONCE);
    let projects: Vec<_> = (0..AT_ONCE).map(|_| Project::new()).collect();
    for round in 0..rounds {
        let started = projects.iter().enumerate().map(|(number, project)| {
            let port = (20_000 + number).to_string();
            let profile = profiles[number % profiles.len()].replace("0000", &port);
            let _ = std::fs::remove_file(project.path().join("ready"));
            let script = "touch ready; sleep 300";
            // Killed as nothing can be handled, the supervisor itself has to be what is started.
            Service::start(&mut lab.sandbox(project, &profile, &["sh", "-c", script]))
        });
        let mut started: Vec<_> = started.collect();
        // Some are killed while they are being set up.
        let early = if round % 2 == 1 { 4 } else { 0 };
        for one in started.iter_mut().take(early) {
            one.kill();
        }
        for project in projects.iter().skip(early) {
            crate::live::eventually("it runs", || project.path().join("ready").exists());
        }
        for (number, mut one) in started.into_iter().enumerate().skip(early) {
            // Both modes meet both ends.
            if number / 2 % 2 == 0 {
                one.kill();
            } else {
                assert_eq!(one.end().code, 143);
            }
        }
        lab.is_clean(&["wan0"]);
    }
}

#[test]
fn without_pasta_or_its_device_the_refusal_says_what_to_install() {
    let test = "without_pasta_or_its_device_the_refusal_says_what_to_install";
    if !is_root() {
        return skip(test, "only root can hide a program of the system");
    }
    let Some(lab) = Lab::with_pasta(test) else {
        return;
    };
    let project = Project::new();
    let _world = lab.world();
    for (file, words) in [
        ("/usr/bin/pasta", "install the package `passt`"),
        ("/dev/net/tun", "/dev/net/tun"),
    ] {
        let command = lab.sandbox(&project, USER, &["true"]);
        let said = done(&mut hidden(Path::new(file), &command)).fails(125);
        assert!(
            said.contains(words) && said.contains("sandbox.toml:3"),
            "{said}"
        );
    }
    lab.is_clean(&["wan0"]);
}

#[test]
fn what_goes_through_a_pair_is_limited_on_both_ends() {
    let test = "what_goes_through_a_pair_is_limited_on_both_ends";
    let Some(lab) = Lab::of_root(test) else {
        return;
    };
    if !lab.has_buckets() {
        return skip(test, "the kernel has no token bucket filter");
    }
    let project = Project::new();
    let profile = "[network]\nmode = \"veth\"\naddress = [\"172.2.0.2/24\"]\nrate = \"3M\"\n";
    let script = "tc qdisc show dev eth0; tc qdisc del dev eth0 root 2>&1; touch ready; until [ -e go ]; do sleep 0.1; done";
    let service = Service::start(&mut lab.sandbox(&project, profile, &["sh", "-c", script]));
    crate::live::eventually("it runs", || project.path().join("ready").exists());
    let outside = lab.shell("tc qdisc show | grep sbx").ok();
    project.write("go", "");
    let inside = service.end().stdout;
    for said in [&outside, &inside] {
        // In bits: 3 MiB.
        assert!(
            said.contains("tbf") && said.contains("rate 25165Kbit"),
            "{said}"
        );
    }
    assert!(inside.contains("Operation not permitted"), "{inside}");
    lab.is_clean(&[]);
}

#[test]
fn what_goes_through_a_pair_comes_later_and_in_part() {
    let test = "what_goes_through_a_pair_comes_later_and_in_part";
    if !is_root() {
        return skip(test, "only root has pairs of interfaces");
    }
    // A port of a bridge takes no packet filter, which kernels with an emulator may lack.
    let bridge =
        "ip link add br0 type bridge && ip address add 172.2.0.1/24 dev br0 && ip link set br0 up";
    let Some(lab) = Lab::with_pairs(test) else {
        return;
    };
    if lab.shell(bridge).code != 0 {
        return skip(test, "the kernel has no bridges");
    }
    if !lab.has_emulator() {
        return skip(test, "the kernel has no network emulator");
    }
    let base = "[network]\nmode = \"veth\"\nbridge = \"br0\"\naddress = [\"172.2.0.2/24\"]\n";
    let project = Project::new();
    let more = "delay = \"150ms\"\nloss = \"12.5%\"\nrate = \"3M\"\n";
    let script = "tc qdisc show dev eth0; tc qdisc del dev eth0 root 2>&1; touch ready; until [ -e go ]; do sleep 0.1; done";
    let profile = format!("{base}{more}");
    let service = Service::start(&mut lab.sandbox(&project, &profile, &["sh", "-c", script]));
    crate::live::eventually("it runs", || project.path().join("ready").exists());
    let outside = lab.shell("tc qdisc show | grep sbx").ok();
    project.write("go", "");
    let inside = service.end().stdout;
    for said in [&outside, &inside] {
        for part in [
            "netem 1:",
            "delay 150ms loss 12.5%",
            "tbf",
            "parent 1:1",
            "rate 25165Kbit",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    assert!(inside.contains("Operation not permitted"), "{inside}");
    // An answer is there at once, on a line of a minute or one that loses all, nobody waits long enough.
    let serving = lab.server(&["9000"]);
    let ask = format!("python3 -c \"{CLIENT}\" udp 172.2.0.1 9000 2>/dev/null || echo none");
    for (more, answers) in [
        ("", true),
        ("delay = \"1ms\"\n", true),
        ("delay = \"60s\"\n", false),
        ("loss = \"100%\"\n", false),
    ] {
        let ended = lab.run(&project, &format!("{base}{more}"), &ask);
        assert_eq!(
            ended.stdout.contains("echo 172.2.0.2"),
            answers,
            "{more}: {ended:?}"
        );
    }
    drop(serving);
    lab.is_clean(&["br0"]);
}

#[test]
fn ports_of_the_hosts_loopback_lead_into_a_sandbox_on_a_bridge_and_by_ipv6() {
    let test = "ports_of_the_hosts_loopback_lead_into_a_sandbox_on_a_bridge_and_by_ipv6";
    let Some(lab) = Lab::of_root(test) else {
        return;
    };
    lab.shell("ip link add br0 type bridge && ip link set br0 up")
        .ok();
    let project = Project::new();
    let profile = "[network]\nmode = \"veth\"\nbridge = \"br0\"\naddress = [\"172.2.0.2/24\"]\n\
        publish = [\"127.0.0.1:8080:8000\", \"127.0.0.1:8080:8000/udp\", \"[::1]:8081:8000\"]\n";
    let mut service = lab.serving(&project, profile, "8000");
    assert_eq!(lab.hear("tcp", "127.0.0.1", "8080"), "172.2.0.2");
    assert_eq!(lab.hear("udp", "127.0.0.1", "8080"), "echo 172.2.0.2");
    assert_eq!(lab.hear("tcp", "::1", "8081"), "172.2.0.2");
    assert_eq!(lab.ask("tcp", "127.0.0.1", "8000"), None);
    let other = Project::new();
    let taken = profile.replace("172.2.0.2", "172.2.0.3");
    let refused = lab.run(&other, &taken, "true").fails(125);
    assert!(
        refused.contains("something on the host listens on it")
            && refused.contains("sandbox.toml:6"),
        "{refused}"
    );
    service.kill();
    drop(service);
    assert_eq!(lab.ask("tcp", "127.0.0.1", "8080"), None);
    lab.is_clean(&["br0"]);
}

#[test]
fn ports_in_a_row_are_published_each() {
    let test = "ports_in_a_row_are_published_each";
    let Some(lab) = Lab::of_root(test) else {
        return;
    };
    let project = Project::new();
    let profile = format!("{PAIR}publish = [\"127.0.0.1:8100-8199:8000-8099\"]\n");
    let service = lab.serving(&project, &profile, "8042");
    assert_eq!(lab.hear("tcp", "127.0.0.1", "8142"), "172.2.0.1");
    assert_eq!(lab.ask("tcp", "127.0.0.1", "8141"), None);
    drop(service);
    lab.is_clean(&[]);
}

#[test]
fn a_machine_on_a_network_of_the_host_is_reached_there_and_reaches_it_but_not_the_host() {
    let test =
        "a_machine_on_a_network_of_the_host_is_reached_there_and_reaches_it_but_not_the_host";
    let Some(lab) = Lab::of_root(test) else {
        return;
    };
    if lab
        .shell("ip link add v0 type veth peer name v1 && ip link add link v0 name m0 type macvlan")
        .code
        != 0
    {
        let _ = lab.shell("ip link del v0");
        return skip(test, "the kernel makes no interfaces behind others");
    }
    lab.shell("ip link del v0").ok();
    let world = lab.world();
    let project = Project::new();
    let profile = r#"[network]
mode = "macvlan"
interface = "wan0"
address = ["198.51.100.9/24", "fd11::9/64"]
gateway = ["198.51.100.1"]
dns = ["198.51.100.1"]
mtu = 1400
hardware_address = "02:00:5e:10:00:01"
"#;
    let _host = lab.server(&["9001"]);
    let script = format!(
        "ask() {{ python3 -c \"{}\" $* 2>/dev/null || echo nobody; echo; }}
         ask tcp 198.51.100.1 9000; ask udp fd11::1 9000; ask tcp world.test 9000; ask tcp 198.51.100.2 9001
         ip -o link show eth0 | grep -o 'mtu [0-9]*'; ip -o link show eth0 | grep -o 'ether [0-9a-f:]*'
         ip route | grep default; ip link set eth0 down 2>&1",
        lab::CLIENT
    );
    let said = lab.run(&project, profile, &script);
    let lines: Vec<_> = said
        .stdout
        .lines()
        .filter(|line| !line.is_empty())
        .collect();
    let expected = [
        "198.51.100.9",
        "echo fd11::9",
        "198.51.100.9",
        "nobody",
        "mtu 1400",
        "ether 02:00:5e:10:00:01",
        "default via 198.51.100.1 dev eth0 proto static ",
        "RTNETLINK answers: Operation not permitted",
    ];
    assert_eq!(lines, expected, "{said:?}");
    let mut service = lab.serving(&project, profile, "8000");
    assert_eq!(
        world.lab.hear("tcp", "198.51.100.9", "8000"),
        "198.51.100.1"
    );
    // Also where nobody can clean up.
    service.kill();
    drop(service);
    crate::live::eventually("nobody answers any more", || {
        world.lab.ask("tcp", "198.51.100.9", "8000").is_none()
    });
    // The host's interface, or another one behind it, has the address already.
    lab.shell("ip link add link wan0 name m0 address 02:00:5e:10:00:01 type macvlan mode bridge && ip link set m0 up")
        .ok();
    let said = lab.run(&project, profile, "true").fails(125);
    for words in [
        "bring up eth0 inside: Address already in use",
        "9 | hardware_address",
        "choose another `hardware_address`",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    lab.shell("ip link del m0").ok();
    for (wrong, words) in [
        (
            profile.replace("wan0", "wan7"),
            "the host has no interface `wan7`",
        ),
        (
            profile.replace("100.9/", "100.2/"),
            "the host itself has the address 198.51.100.2",
        ),
    ] {
        let refused = lab.run(&project, &wrong, "true").fails(125);
        assert!(
            refused.contains(words) && refused.contains("sandbox.toml:"),
            "{refused}"
        );
    }
}
