//! Networks that do not fit together, by what the profile says alone and on this machine.

use crate::{checked, explained};

#[test]
fn values_of_a_network() {
    insta::assert_snapshot!(checked(
        r#"
[network]
mode = "veth"
address = ["172.2.0.2", "fd00::1/129", "here/24", 5]
gateway = ["router"]
bridge = "a-bridge-with-a-long-name"
mtu = "1500"
publish = ["80", "80:65536", "localhost:80:80", "0.0.0.0:80:80", "1:1/sctp"]
"#,
    ));
}

#[test]
fn hardware_addresses_and_words_for_resolvers() {
    insta::assert_snapshot!(checked(
        r#"
[network]
mode = "veth"
hardware_address = "01:00:5e:10:00:01"
dns_search = ["corp.example", "a domain", 5]
dns_options = ["ndots:2", "ndots:99", "ndot:1", "rotate\nnameserver 192.0.2.1"]
"#,
    ));
    insta::assert_snapshot!(checked(
        r#"
[network]
mode = "user"
hardware_address = "02:00:5e:10:00:01"
"#,
    ));
    insta::assert_snapshot!(checked(
        "\n[network]\nmode = \"host\"\ndns_search = [\"corp.example\"]\ndns_options = [\"rotate\"]\n"
    ));
}

#[test]
fn ways_that_lead_nowhere() {
    insta::assert_snapshot!(checked(
        r#"
[network]
forward = ["22", "0:22", "22:22/sctp", "127.0.0.1:22:22", 22]
"#,
    ));
    insta::assert_snapshot!(checked(
        r#"
[network]
mode = "host"
forward = ["22:22", "53:53/udp", "22:2222", "53:54"]
"#,
    ));
    insta::assert_snapshot!(checked(
        r#"
[network]
mode = "none"
forward = ["22:22"]
"#,
    ));
}

#[test]
fn all_of_the_hosts_loopback_without_pasta() {
    insta::assert_snapshot!(checked("\n[network]\nforward = \"auto\"\n"));
    insta::assert_snapshot!(checked(
        "\n[network]\nmode = \"host\"\nforward = \"auto\"\n"
    ));
    insta::assert_snapshot!(checked("\n[network]\nmode = \"user\"\nforward = \"all\"\n"));
}

#[test]
fn names_without_a_bridge() {
    insta::assert_snapshot!(checked("\n[network]\nmode = \"veth\"\nnames = true\n"));
    insta::assert_snapshot!(checked("\n[network]\nnames = true\n"));
}

#[test]
fn a_machine_of_the_hosts_network_that_says_too_little_or_too_much() {
    insta::assert_snapshot!(checked("\n[network]\nmode = \"macvlan\"\n"));
    insta::assert_snapshot!(checked(
        r#"
[network]
mode = "macvlan"
interface = "eth0"
address = ["172.2.0.2/24"]
gateway = ["172.3.0.1"]
nat = true
pool = ["10.0.0.0/16"]
publish = ["8080:80"]
"#,
    ));
    insta::assert_snapshot!(checked(
        "\n[network]\nmode = \"veth\"\ninterface = \"eth0\"\n"
    ));
}

#[test]
fn ports_in_a_row_that_do_not_fit() {
    insta::assert_snapshot!(checked(
        r#"
[network]
mode = "user"
publish = ["8000-8010:80", "90-80:90-80", "1-200:1-200", "8000-8010:8000-8010", "8005-8015:5-15", "1-65536:1-2"]
forward = ["1-100:1-100", "101-200:101-200"]
allow = ["a.example:8010-8000", "a.example:1-1000"]
"#,
    ));
}

#[test]
fn addresses_that_do_not_fit() {
    insta::assert_snapshot!(checked(
        r#"
[network]
mode = "veth"
address = ["172.2.0.2/24", "172.2.0.3/16", "127.0.0.1/8", "10.0.0.0/24", "10.1.0.1/32"]
host_address = ["172.2.0.2/24", "172.9.0.1/24"]
gateway = ["192.0.2.1", "172.2.0.2"]
isolated = true
mtu = 40
pool = ["10.0.0.0/31"]
"#,
    ));
}

#[test]
fn what_needs_an_address() {
    insta::assert_snapshot!(checked(
        r#"
[network]
mode = "veth"
host_address = ["172.2.0.1/24"]
gateway = ["172.2.0.1"]
bridge = "br0"
"#,
    ));
}

#[test]
fn bridges_and_ports_that_do_not_fit() {
    insta::assert_snapshot!(checked(
        r#"
[network]
mode = "veth"
address = ["10.9.0.2/24"]
host_address = ["10.9.0.1/24"]
bridge = "br0"
publish = ["8080:80", "127.0.0.1:8080:81", "127.0.0.1:8081:80", "[::1]:8082:80", "8080:80/udp"]
"#,
    ));
}

#[test]
fn settings_of_another_mode() {
    insta::assert_snapshot!(checked(
        r#"
[network]
namespace = "lab"
address = ["10.9.0.2/24"]
nat = true
dns = ["192.0.2.1"]
mtu = 1400
publish = ["8080:80"]
"#,
    ));
}

#[test]
fn small_packets_and_ipv6() {
    insta::assert_snapshot!(checked(
        r#"
[network]
mode = "veth"
address = ["fd00::2/64"]
mtu = 1000
"#,
    ));
}

#[test]
fn a_namespace_that_is_not_named_or_named_twice() {
    insta::assert_snapshot!(checked("[network]\nmode = \"join\"\n"));
    insta::assert_snapshot!(checked("[network]\nmode = \"join\"\nnamespace = \"a/b\"\n"));
    insta::assert_snapshot!(checked(
        "[network]\nmode = \"join\"\nnamespace = \"lab\"\n[namespaces]\nnet = \"/run/netns/lab\"\n"
    ));
}

#[test]
fn a_network_for_plain_users_without_a_user_namespace() {
    insta::assert_snapshot!(checked(
        "[network]\nmode = \"user\"\n[namespaces]\nuser = \"shared\"\n"
    ));
}

#[test]
fn a_namespace_that_is_not_there() {
    insta::assert_snapshot!(explained(
        "[network]\nmode = \"join\"\nnamespace = \"sbx-no-such\"\n"
    ));
}

#[test]
fn an_address_that_is_to_be_chosen_of_nothing() {
    insta::assert_snapshot!(checked(
        "\n[network]\nmode = \"veth\"\naddress = \"auto\"\n"
    ));
    insta::assert_snapshot!(checked(
        r#"
[network]
mode = "macvlan"
interface = "eth0"
address = "auto"
"#,
    ));
    insta::assert_snapshot!(checked(
        r#"
[network]
mode = "veth"
bridge = "br0"
address = "auto"
pool = ["10.0.0.0/16"]
host_address = ["10.0.0.1/16"]
"#,
    ));
    insta::assert_snapshot!(checked("\n[network]\naddress = \"auto\"\n"));
    insta::assert_snapshot!(checked("\n[network]\nmode = \"veth\"\naddress = \"any\"\n"));
}

#[test]
fn peers_that_are_none_or_passed_by() {
    let wrong = checked(
        r#"
[network]
mode = "veth"
peers = ["localhost", "10.0.0.1/8", "[::1]", "10.0.0.0/33", "::1", "127.0.0.0/8"]
"#,
    );
    insta::assert_snapshot!(wrong);
    let wrong = checked(
        r#"
[namespaces]
user = "shared"
[network]
mode = "host"
peers = []
[capabilities]
keep = ["net_raw"]
"#,
    );
    insta::assert_snapshot!(wrong);
}
