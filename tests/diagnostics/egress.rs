//! What may be reached: lines that are none, and settings that leave another way out.

use crate::checked;

/// Every line that is none is told at its place, with what to write.
#[test]
fn lines_that_nothing_can_be_reached_by() {
    for (line, place, why, help) in [
        ("example.org", "3:3", "it has no port", "example.org:443"),
        ("example.org:0", "3:3", "`0` is no port", "from 1 to 65535"),
        (
            "example.org:65536",
            "3:3",
            "`65536` is no port",
            "from 1 to 65535",
        ),
        (
            "https://example.org:443",
            "3:3",
            "it is a URL",
            "the host and the port alone",
        ),
        (
            "10.0.0.1/8:80",
            "3:3",
            "beyond the prefix",
            "write 10.0.0.0/8",
        ),
        ("10.0.0.0/40:80", "3:3", "no such length", "from 0 to 32"),
        (
            "2001:db8::1:80",
            "3:3",
            "stands in brackets",
            "[2001:db8::1:80]:443",
        ),
        ("*:443", "3:3", "`*` is no name", "*.mirror.example:80"),
        ("bücher.example:443", "3:3", "as resolvers see it", "xn--"),
        (
            "127.0.0.1:80",
            "3:3",
            "the sandbox's own loopback",
            "without a line",
        ),
        (
            "[::1]:80",
            "3:3",
            "the sandbox's own loopback",
            "without a line",
        ),
        (
            "localhost:80",
            "3:3",
            "the sandbox's own loopback",
            "without a line",
        ),
    ] {
        let wrong = checked(&format!("[network]\nallow = [\n  \"{line}\",\n]\n"));
        assert!(wrong.starts_with("error[SBX0081]: `"), "{line}: {wrong}");
        for part in [place, why, help] {
            assert!(wrong.contains(part), "{line}: {part}: {wrong}");
        }
        assert_eq!(wrong.matches("error[").count(), 1, "{wrong}");
    }
}

#[test]
fn a_list_beside_another_way_out() {
    for (other, told) in [
        ("mode = \"host\"\n", "the mode is \"host\""),
        ("mode = \"none\"\n", "the mode is \"none\""),
        (
            "[namespaces]\nnet = \"shared\"\n",
            "the network is not the sandbox's own",
        ),
        (
            "[namespaces]\nnet = \"/proc/42/ns/net\"\n",
            "the network is not the sandbox's own",
        ),
    ] {
        let text = format!("[network]\nallow = [\"a.example:443\"]\n{other}");
        let wrong = checked(&text);
        assert!(
            wrong.contains("error[SBX0007]: what may be reached is decided only"),
            "{wrong}"
        );
        assert!(wrong.contains(told), "{wrong}");
    }
    let wrong = checked("[network]\nmode = \"host\"\ndeny = [\"a.example\"]\n");
    assert!(
        wrong.contains("error[SBX0007]: what may be reached is decided only"),
        "{wrong}"
    );
    let wrong =
        checked("[network]\nallow = [\"a.example:443\"]\n[namespaces]\nmount = \"shared\"\n");
    assert!(
        wrong.contains("names are resolved by files of a root"),
        "{wrong}"
    );
}

/// A packet filter beside a connected mode knows no names, and whom it binds must not be able to pass it by.
#[test]
fn lists_that_a_packet_filter_cannot_keep() {
    for mode in ["veth", "user"] {
        let base = format!("[network]\nmode = \"{mode}\"\n");
        for line in [
            "allow = [\"a.example:443\"]",
            "allow = [\"192.0.2.1:443\"]\ndeny = [\"*.a.example\"]",
        ] {
            let wrong = checked(&format!("{base}{line}\n"));
            assert!(wrong.contains("error[SBX0007]: beside the mode"), "{wrong}");
            assert!(wrong.contains("which bear no names"), "{wrong}");
        }
        let wrong = checked(&format!("{base}deny = [\"192.0.2.1\"]\n"));
        assert!(
            wrong.contains("`deny` takes something away from `allow`"),
            "{wrong}"
        );
        for capability in ["net_admin", "net_raw"] {
            let text = format!(
                "{base}allow = [\"192.0.2.1:443\"]\n[capabilities]\nkeep = [\"{capability}\"]\n"
            );
            let wrong = checked(&text);
            let who = format!(
                "error[SBX0007]: who keeps CAP_{}",
                capability.to_uppercase()
            );
            assert!(wrong.contains(&who), "{wrong}");
        }
        let lines: Vec<_> = (0..129)
            .map(|last| format!("\"192.0.2.{last}:443\""))
            .collect();
        let wrong = checked(&format!("{base}allow = [{}]\n", lines.join(", ")));
        assert!(
            wrong.contains("more than 128 lines for one packet filter"),
            "{wrong}"
        );
        crate::warned(&format!(
            "{base}allow = [\"192.0.2.0/24:1-128\", \"192.0.2.0/24:200-328\"]\n"
        ));
    }
}

/// The rate is that of the gate, and pasta has none.
#[test]
fn a_rate_beside_a_packet_filter_takes_a_pair() {
    let list = "allow = [\"192.0.2.1:443\"]\nrate = \"1M\"\n";
    let wrong = checked(&format!("[network]\nmode = \"user\"\n{list}"));
    assert!(
        wrong.contains("`rate` is about what goes through a pair"),
        "{wrong}"
    );
    crate::warned(&format!("[network]\nmode = \"veth\"\n{list}"));
    for (key, value) in [("delay", "50ms"), ("loss", "1%")] {
        let wrong = checked(&format!(
            "[network]\nmode = \"user\"\n{key} = \"{value}\"\n"
        ));
        let told = format!("`{key}` is about what goes through a pair");
        assert!(wrong.contains(&told), "{wrong}");
        crate::warned(&format!(
            "[network]\nmode = \"veth\"\n{key} = \"{value}\"\n"
        ));
        crate::warned(&format!(
            "[network]\nallow = [\"a.example:443\"]\n{key} = \"{value}\"\n"
        ));
    }
    for (line, told) in [
        ("delay = \"61s\"", "nothing is delayed by 61s"),
        ("delay = 0", "nothing is delayed by 0s"),
        ("loss = \"101%\"", "a percentage from"),
        ("loss = \"0%\"", "a percentage from"),
        ("loss = 0.1", "a percentage from"),
    ] {
        let wrong = checked(&format!("[network]\nmode = \"veth\"\n{line}\n"));
        assert!(
            wrong.contains("error[") && wrong.contains(told),
            "{line}: {wrong}"
        );
    }
}

#[test]
fn more_ports_than_there_are_sockets_for() {
    let lines: Vec<_> = (1..=129)
        .map(|port| format!("\"a.example:{port}\""))
        .collect();
    let wrong = checked(&format!("[network]\nallow = [{}]\n", lines.join(", ")));
    assert!(
        wrong.contains("more than 128 different ports (tcp)"),
        "{wrong}"
    );
    let lines: Vec<_> = (1..=128)
        .map(|port| format!("\"a.example:{port}\""))
        .collect();
    crate::warned(&format!("[network]\nallow = [{}]\n", lines.join(", ")));
}
