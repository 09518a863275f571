//! Nothing of the old root is left on top of the new one, where `/..` would lead to it.

use crate::support::Project;

#[test]
fn the_parent_of_the_root_is_the_root_whatever_is_mounted() {
    let project = Project::new();
    let mounts = [
        "",
        "type = \"file\"\ntarget = \"/etc/made\"\ncontents = \"x\"",
        "type = \"tmpfs\"\ntarget = \"/data\"",
        "type = \"tmpfs\"\ntarget = \"${PROJECT}/missing\"",
        "type = \"mask\"\ntarget = \"/etc/passwd\"",
    ];
    for mount in mounts {
        let table = if mount.is_empty() { "" } else { "[[mounts]]\n" };
        let profile = format!("version = 1\n{table}{mount}");
        // By number, since `ls /` does not follow what lies on the root; and by the table of
        // mounts, where each must hang below one that is listed, but for the root.
        let look = "stat -c %d:%i / /.. | uniq | wc -l
            awk '$5 == \"/\"' /proc/self/mountinfo | wc -l";
        assert_eq!(project.run(&profile, look).ok(), "1\n1\n", "{mount}");
    }
}
