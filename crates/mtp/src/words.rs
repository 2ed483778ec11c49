//! What a peer says for people to read: it goes into logs, where it must not look like more than one line, or like more
//! than text.

/// At most so many characters of it; what separates its lines is a blank.
pub(crate) fn plain(said: &[u8], chars_max: usize) -> String {
    // Four bytes a character at most.
    let said = &said[..said.len().min(4 * chars_max)];
    let text = String::from_utf8_lossy(said);
    let plain = text.chars().filter_map(|c| match c {
        '\n' => Some(' '),
        c if c.is_control() => None,
        c => Some(c),
    });
    plain.take(chars_max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_a_peer_is_one_short_line() {
        let said = b"no\r\n2026 ERROR forged \x1b[31m\0";
        assert_eq!(plain(said, 100), "no 2026 ERROR forged [31m");
        assert_eq!(plain("\u{e4}".repeat(9).as_bytes(), 3), "\u{e4}".repeat(3));
        assert_eq!(plain(&[0xff; 100], 2), "\u{fffd}\u{fffd}");
    }
}
