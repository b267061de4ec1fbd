//! The rule for trusting the process at the other end of a Unix socket: it runs as our own user, or as root.
//!
//! Pure functions over numbers that the kernel reports: user ids and file modes.

/// The user id of root.
pub const ROOT_UID: u32 = 0;

/// Write permission for the group and for all other users.
const OTHERS_WRITE: u32 = 0o022;

/// Whether a process of user `own` trusts a peer of user `peer`.
///
/// Root can read the memory of every process, so distrust of root protects nothing. The reverse does not hold: root has
/// no reason to trust any other user.
#[must_use]
pub fn is_trusted_user(peer: u32, own: u32) -> bool {
    peer == own || peer == ROOT_UID
}

/// Whether users other than the owner can write to a file or directory of this mode. Who can write to the directory of a
/// socket can put another socket in its place.
#[must_use]
pub fn others_can_write(mode: u32) -> bool {
    mode & OTHERS_WRITE != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_user_and_root_are_trusted() {
        assert!(is_trusted_user(1_000, 1_000) && is_trusted_user(ROOT_UID, 1_000));
        assert!(is_trusted_user(ROOT_UID, ROOT_UID));
        assert!(!is_trusted_user(1_001, 1_000) && !is_trusted_user(1_000, ROOT_UID));
        // The kernel's overflow uid, for a user of another container.
        assert!(!is_trusted_user(65_534, 1_000));
    }

    #[test]
    fn group_and_others_count_as_others_and_the_owner_does_not() {
        assert!(others_can_write(0o720) && others_can_write(0o702) && others_can_write(0o1777));
        assert!(!others_can_write(0o755) && !others_can_write(0o700));
    }
}
