//! The quirk packs of the test bench, and the transcripts (`*.txt`) of these and of those that come with
//! the program (`data/quirks`), for the tests of both sides. With
//! `HEADEND_TRANSCRIPTS=write` they are written anew, for somebody to read the difference.

/// The packs, as an operator would have them.
pub const PACKS: &str = include_str!("gateways.toml");

fn transcript(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/quirks");
    format!("{folder}/{name}.txt")
}

/// Whether a pack has a transcript.
#[allow(dead_code, reason = "one of the two sides looks")]
pub fn has(name: &str) -> bool {
    std::path::Path::new(&transcript(name)).exists()
}

/// Compares what was said with the transcript of a pack.
pub fn same(name: &str, said: &[String]) {
    let path = transcript(name);
    let said = said.join("\n") + "\n";
    if std::env::var("HEADEND_TRANSCRIPTS").is_ok_and(|how| how == "write") {
        std::fs::write(&path, &said).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap();
    assert_eq!(said, known, "{path}");
}
