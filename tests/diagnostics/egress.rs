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
