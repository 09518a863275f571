//! Nodes of devices that cannot be meant.

use crate::checked;

#[test]
fn nodes_that_say_too_much_or_too_little() {
    insta::assert_snapshot!(checked(
        r#"
[devices]
nodes = [
    { name = "a", number = "10:229" },
    { name = "b", number = "c 4096:0" },
    { name = "c", number = "b 8:+1" },
    { name = "d", mode = "4755" },
    { name = "e", mode = 660 },
    { name = "f", owner = {} },
    { name = "g", owner = { uid = 5000 } },
    { name = "null", number = "b 8:0" },
    { name = "input/event*", mode = "666" },
]
[user]
uid_map = [{ inside = 0, outside = 1000, count = 1000 }]
"#,
    ));
}
