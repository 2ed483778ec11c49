//! Writes the generated files that are committed: the data-model blobs of `dm` and the protobuf types of `usp`.
//! A package of its own, so that nobody waits for its dependencies but those who generate.

mod dm;
mod usp;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let check = args.iter().any(|arg| arg == "--check");
    let wanted = |name: &str| {
        args.iter().all(|arg| arg.starts_with("--")) || args.iter().any(|arg| arg == name)
    };
    if wanted("dm") {
        dm::run(check)?;
    }
    if wanted("usp") {
        usp::run(check)?;
    }
    Ok(())
}
