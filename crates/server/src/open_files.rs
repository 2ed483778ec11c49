//! How many files the process may have open: each connection of a device is one, and the database
//! needs some too. Only told, not changed: that is the service manager's.

use crate::limits::OPEN_FILES_MIN;

/// How many there may be, where that is less than a server of many devices needs.
pub fn too_few() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    open_files(&limits).filter(|most| *most < OPEN_FILES_MIN)
}

/// The soft limit of open files, as Linux writes it; `None` where there is none.
fn open_files(limits: &str) -> Option<u64> {
    let mut lines = limits.lines();
    let line = lines.find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_read_and_no_limit_is_none() {
        let limits = |soft: &str| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units     \n\
                 Max processes             7823                 7823                 processes \n\
                 Max open files            {soft:<20} 524288               files     \n"
            )
        };
        assert_eq!(open_files(&limits("1024")), Some(1024));
        assert_eq!(open_files(&limits("unlimited")), None);
        assert_eq!(open_files(""), None);
    }
}
