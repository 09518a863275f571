use super::*;
use proptest::prelude::*;

fn rules(allow: &[&str], deny: &[&str]) -> Rules {
    let read = |lines: &[&str], deny| {
        let one = |line: &&str| Rule::parse(line, deny).unwrap_or_else(|w| panic!("{line}: {w:?}"));
        lines.iter().map(one).collect()
    };
    Rules {
        allow: read(allow, false),
        deny: read(deny, true),
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn end(text: &str) -> End {
    let (address, protocol) = match text.strip_suffix("/udp") {
        Some(address) => (address, Protocol::Udp),
        None => (text, Protocol::Tcp),
    };
    let address: std::net::SocketAddr = address.parse().unwrap();
    End::new(address.ip(), address.port(), protocol)
}

#[test]
fn rules_print_as_they_are_written() {
    for text in [
        "packages.example.org:443",
        "*.mirror.example:80",
        "10.0.0.0/8:5432",
        "192.0.2.7:22",
        "[2001:db8::/32]:443",
        "[2001:db8::1]:443",
        "quic.example:443/udp",
        "10.0.0.0/8:53/udp",
    ] {
        assert_eq!(Rule::parse(text, false).unwrap().to_string(), text);
        assert!(Rule::parse(text, true).is_ok(), "{text}");
    }
    for (text, same) in [
        ("Packages.Example.ORG.:443/tcp", "packages.example.org:443"),
        ("[2001:db8::]/32:443", "[2001:db8::/32]:443"),
        ("[::ffff:10.0.0.0]/104:1", "10.0.0.0/8:1"),
    ] {
        assert_eq!(Rule::parse(text, false).unwrap().to_string(), same);
    }
    for text in [
        "10.0.0.0/8",
        "2001:db8::/32",
        "*.x.example",
        "a.example/udp",
        "a.example:8000-8010/udp",
    ] {
        assert_eq!(Rule::parse(text, true).unwrap().to_string(), text);
    }
}

#[test]
fn what_is_no_rule_is_refused_with_a_remedy() {
    for (text, help) in [
        ("example.org", "example.org:443"),
        ("example.org:0", "8000-8010"),
        ("example.org:65536", "8000-8010"),
        ("example.org:+80", "8000-8010"),
        ("example.org:80,443", "8000-8010"),
        ("example.org:90-80", "8000-8010"),
        ("https://example.org:443", "host and the port alone"),
        ("10.0.0.1/8:80", "10.0.0.0/8"),
        ("10.0.0.0/33:80", "0 to 32"),
        ("2001:db8::1:443", "[2001:db8::1:443]:443"),
        ("b\u{fc}cher.example:443", "xn--"),
        ("*:443", "packages.example.org:443"),
        ("*.:443", "packages.example.org:443"),
        ("a.*.example:443", "packages.example.org:443"),
        ("127.1:80", "packages.example.org:443"),
        ("0x7f000001:80", "packages.example.org:443"),
        ("-a.example:80", "packages.example.org:443"),
        ("a..example:80", "packages.example.org:443"),
        (":80", "packages.example.org:443"),
        ("", ":443"),
        ("[::1:443", "packages.example.org:443"),
        ("[]:1", "packages.example.org:443"),
    ] {
        let wrong = Rule::parse(text, false).expect_err(text);
        assert!(wrong.help.contains(help), "{text}: {wrong:?}");
    }
}

#[test]
fn names_are_decided_by_their_labels() {
    let rules = rules(
        &["packages.example.org:443", "*.mirror.example:80"],
        &["evil.mirror.example", "*.evil.mirror.example", "no.example"],
    );
    let ask = |text| rules.name(&name(text));
    assert_eq!(ask("PACKAGES.example.org."), Ok(0));
    assert_eq!(ask("a.mirror.example"), Ok(1));
    assert_eq!(ask("a.b.mirror.example"), Ok(1));
    assert_eq!(ask("mirror.example"), Err(Reason::NotAllowed));
    assert_eq!(ask("amirror.example"), Err(Reason::NotAllowed));
    assert_eq!(
        ask("packages.example.org.evil.example"),
        Err(Reason::NotAllowed)
    );
    assert_eq!(ask("x.packages.example.org"), Err(Reason::NotAllowed));
    assert_eq!(ask("evil.mirror.example"), Err(Reason::Denied(0)));
    assert_eq!(ask("a.evil.mirror.example"), Err(Reason::Denied(1)));
    assert_eq!(ask("no.example"), Err(Reason::Denied(2)));
}

#[test]
fn connections_are_decided_by_number_and_by_the_names_behind_it() {
    let rules = rules(
        &[
            "packages.example.org:443",
            "10.0.0.0/8:5432",
            "0.0.0.0/0:9",
            "169.254.169.254:80",
            "quic.example:443/udp",
        ],
        &["10.6.6.0/24", "packages.example.org:8443"],
    );
    let known = [name("packages.example.org")];
    let ask = |text: &str, names: &[Name]| rules.connect(end(text), names);
    assert_eq!(ask("203.0.113.7:443", &known), Ok(Permit::Name(0)));
    assert_eq!(ask("[::ffff:203.0.113.7]:443", &known), Ok(Permit::Name(0)));
    assert_eq!(ask("[2001:db8::7]:443", &known), Ok(Permit::Name(0)));
    assert_eq!(ask("203.0.113.7:443", &[]), Err(Reason::OtherPort(2)));
    assert_eq!(
        ask("203.0.113.7:443/udp", &known),
        Err(Reason::OtherPort(0))
    );
    assert_eq!(ask("203.0.113.7:22", &known), Err(Reason::OtherPort(0)));
    assert_eq!(ask("203.0.113.7:8443", &known), Err(Reason::Denied(1)));
    assert_eq!(ask("[2001:db8::7]:80", &[]), Err(Reason::NotAllowed));
    assert_eq!(ask("10.1.2.3:5432", &[]), Ok(Permit::Address(1)));
    assert_eq!(ask("10.6.6.3:5432", &[]), Err(Reason::Denied(0)));
    // What is private is reached by its number alone, and never by a network that happens to hold it.
    assert_eq!(ask("10.1.2.3:443", &known), Err(Reason::OtherPort(1)));
    assert_eq!(ask("10.1.2.3:9", &[]), Err(Reason::OtherPort(1)));
    assert_eq!(
        ask("192.168.2.3:443", &known),
        Err(Reason::Special("private"))
    );
    assert_eq!(ask("192.168.2.3:9", &[]), Err(Reason::Special("private")));
    assert_eq!(ask("127.0.0.1:9", &[]), Err(Reason::Special("loopback")));
    assert_eq!(ask("203.0.113.1:9", &[]), Ok(Permit::Address(2)));
    assert_eq!(ask("169.254.169.254:80", &[]), Ok(Permit::Address(3)));
    assert_eq!(ask("169.254.169.254:9", &[]), Err(Reason::OtherPort(3)));
    assert_eq!(
        ask("169.254.1.1:9", &[]),
        Err(Reason::Special("link-local"))
    );
    assert_eq!(
        ask("[fd00:ec2::254]:443", &known),
        Err(Reason::Special("private"))
    );
    assert_eq!(
        ask("[64:ff9b::a00:1]:443", &known),
        Err(Reason::Special("private"))
    );
    assert_eq!(ask("[64:ff9b::808:808]:443", &known), Ok(Permit::Name(0)));
    assert_eq!(
        ask("[2002:7f00:1::]:443", &known),
        Err(Reason::Special("loopback"))
    );
    assert_eq!(
        ask("203.0.113.9:443/udp", &[name("quic.example")]),
        Ok(Permit::Name(4))
    );
}

#[test]
fn what_is_said_has_to_be_permitted_too() {
    let rules = rules(
        &["a.example:443", "b.example:80", "10.0.0.0/8:443"],
        &["no.example"],
    );
    let at = end("203.0.113.7:443");
    let say = |permit, text| rules.said(permit, &name(text), at);
    assert_eq!(say(Permit::Name(0), "a.example"), Ok(()));
    assert_eq!(say(Permit::Name(0), "b.example"), Err(Reason::OtherPort(1)));
    assert_eq!(say(Permit::Name(0), "c.example"), Err(Reason::NotAllowed));
    assert_eq!(say(Permit::Address(2), "c.example"), Ok(()));
    assert_eq!(
        say(Permit::Address(2), "no.example"),
        Err(Reason::Denied(0))
    );
}

#[test]
fn answers_hold_nothing_private() {
    let rules = rules(&["a.example:443", "10.1.0.0/16:443"], &["203.0.113.0/24"]);
    let ask = |text: &str| rules.answer(text.parse().unwrap());
    assert_eq!(ask("198.51.100.1"), Ok(()));
    assert_eq!(ask("10.1.2.3"), Ok(()));
    assert_eq!(ask("10.2.2.3"), Err(Reason::Special("private")));
    assert_eq!(ask("::ffff:127.0.0.1"), Err(Reason::Special("loopback")));
    assert_eq!(ask("0.0.0.0"), Err(Reason::Special("this machine")));
    assert_eq!(ask("::1"), Err(Reason::Special("this machine")));
    assert_eq!(ask("203.0.113.8"), Err(Reason::Denied(0)));
}

fn label() -> impl Strategy<Value = String> {
    "[a-z0-9_]([a-z0-9-]{0,6}[a-z0-9])?"
}

fn any_name() -> impl Strategy<Value = String> {
    (prop::collection::vec(label(), 0..4), "[a-z]{2,5}").prop_map(|(mut labels, last)| {
        labels.push(last);
        labels.join(".")
    })
}

proptest! {
    #[test]
    fn nothing_that_is_read_panics(text in "\\PC{0,40}", deny: bool) {
        if let Ok(rule) = Rule::parse(&text, deny) {
            prop_assert_eq!(Rule::parse(&rule.to_string(), deny), Ok(rule));
        }
        let _ = Name::parse(&text);
    }

    #[test]
    fn a_name_is_the_same_in_any_case_and_with_the_dot(text in any_name(), port in 1..=u16::MAX) {
        let written = format!("{}.:{port}", text.to_uppercase());
        let rules = rules(&[&written], &[]);
        prop_assert_eq!(rules.name(&name(&text)), Ok(0));
        prop_assert_eq!(rules.reach(&name(&text), port, Protocol::Tcp), Ok(0));
        prop_assert!(rules.reach(&name(&text), port ^ 1, Protocol::Tcp).is_err());
        prop_assert!(rules.reach(&name(&text), port, Protocol::Udp).is_err());
    }

    #[test]
    fn a_wildcard_is_whole_labels(below in any_name(), text in any_name(), glued in "[a-z0-9]{1,3}") {
        let rules = rules(&[&format!("*.{text}:443")], &[]);
        prop_assert!(rules.name(&name(&text)).is_err());
        let within = format!("{below}.{text}");
        prop_assert_eq!(rules.name(&name(&within)), Ok(0));
        let beside = format!("{glued}{text}");
        prop_assert_eq!(
            rules.name(&name(&beside)).is_ok(),
            beside.ends_with(&format!(".{text}"))
        );
    }

    #[test]
    fn deny_always_wins(text in any_name(), bits: u32, port in 1..=u16::MAX) {
        let address = std::net::Ipv4Addr::from_bits(bits);
        let rules = rules(
            &[&format!("{text}:{port}"), &format!("{address}:{port}")],
            &[&text, &address.to_string()],
        );
        prop_assert!(rules.name(&name(&text)).is_err());
        let end = End::new(address.into(), port, Protocol::Tcp);
        prop_assert!(rules.connect(end, &[name(&text)]).is_err());
        prop_assert!(rules.answer(address.into()).is_err());
    }

    #[test]
    fn no_name_leads_to_what_is_special(bits: u128, four: bool, port in 1..=u16::MAX) {
        let address: IpAddr = match four {
            true => std::net::Ipv4Addr::from_bits(bits as u32).into(),
            false => std::net::Ipv6Addr::from_bits(bits).into(),
        };
        let rules = rules(&[&format!("a.example:{port}"), &format!("0.0.0.0/0:{port}"), &format!("[::]/0:{port}")], &[]);
        let end = End::new(address, port, Protocol::Tcp);
        let permitted = rules.connect(end, &[name("a.example")]).is_ok();
        prop_assert_eq!(permitted, special(address).is_none());
        prop_assert_eq!(rules.answer(address).is_ok(), special(address).is_none());
    }

    #[test]
    fn a_network_holds_what_has_its_prefix(bits: u32, length in 0u8..=32, other: u32) {
        let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
        let network = Network::v4((bits & mask).to_be_bytes(), length);
        let address = std::net::Ipv4Addr::from_bits(other);
        prop_assert_eq!(network.holds(address.into()), other & mask == bits & mask);
        prop_assert!(network.is_within(&Network::v4([0; 4], 0)));
    }
}
