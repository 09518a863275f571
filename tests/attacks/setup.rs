//! Set-up races and path confusion: the tree that an earlier run left behind.

use crate::attack::{Bare, Evidence};

attacks! {
    a_planted_link_moves_no_mount_point: "a link in the way of a mount makes a folder outside",
        Bare::Works, "",
        {
            before: "os.symlink(A.outside, A.project + '/cache')",
            refusal: "which the command could have planted",
            mount: Some("cache/x"),
            evidence: Evidence::Outside(|stage| stage.outside().join("x").exists()),
        };
    a_planted_link_at_the_target_moves_no_mount: "a link as the target of a mount is written through",
        Bare::Works, "open(A.project + '/mounted/file', 'w')",
        {
            before: "os.symlink(A.outside, A.project + '/mounted')",
            refusal: "which the command could have planted",
            mount: Some("mounted"),
            evidence: Evidence::Outside(|stage| stage.outside().join("file").exists()),
        };
    the_working_directory_is_never_outside: "the working directory is left upwards",
        Bare::Works, "
for _ in range(40): os.chdir('..')
os.chdir('.' + A.outside); can_open('secret')";
    a_folder_left_open_is_no_way_out: "a folder that the caller left open leads out",
        Bare::Works, "os.chdir('/proc/self/fd/7'); can_open('secret')";
}
