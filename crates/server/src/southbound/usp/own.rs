//! Who we are: the endpoint id of this controller and the name of this node. Both are made at the
//! first start and kept in files, because devices and the database know us by them.

use std::io;
use std::path::Path;

use fleet::NodeId;
use usp::EndpointId;

use crate::{Config, StartError, secret};

const ENDPOINT_FILE: &str = "endpoint-id";
const NODE_FILE: &str = "node-id";

/// The endpoint id of the configuration, or the one that was made at the first start.
pub fn endpoint_id(config: &Config) -> Result<EndpointId, StartError> {
    let text = match &config.usp.endpoint_id {
        Some(text) => text.clone(),
        None => kept(&config.data_dir.join(ENDPOINT_FILE), || {
            // R-ARC.4: a name of its own, not one of the schemes for prototypes and documentation.
            format!("self::headend-{}", uuid::Uuid::new_v4().simple())
        })?,
    };
    EndpointId::parse(&text)
        .map_err(|error| StartError::Devices(format!("usp.endpoint_id {text:?}: {error}")))
}

/// The endpoint id, as long as nothing has to be made for it: for those that look at a server from beside it.
pub fn known_endpoint_id(config: &Config) -> Result<Option<EndpointId>, StartError> {
    let file = config.data_dir.join(ENDPOINT_FILE);
    let made = || std::fs::read_to_string(&file).is_ok_and(|text| !text.trim().is_empty());
    match config.usp.endpoint_id.is_some() || made() {
        true => endpoint_id(config).map(Some),
        false => Ok(None),
    }
}

/// The name of this node, the same after a restart.
pub fn node_id(config: &Config) -> Result<NodeId, StartError> {
    let text = kept(&config.data_dir.join(NODE_FILE), || {
        format!("node-{}", &uuid::Uuid::new_v4().simple().to_string()[..12])
    })?;
    NodeId::parse(&text).map_err(|error| StartError::Devices(format!("{NODE_FILE}: {error}")))
}

/// Reads a file, or makes it.
fn kept(path: &Path, make: impl FnOnce() -> String) -> Result<String, StartError> {
    let broken = |source: io::Error| StartError::DataDir {
        path: path.display().to_string(),
        source,
    };
    match std::fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
        Ok(_) => write(path, make()).map_err(broken),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(broken)?;
            }
            write(path, make()).map_err(broken)
        }
        Err(error) => Err(broken(error)),
    }
}

/// Whole or not at all: a crash must not leave half a name.
fn write(path: &Path, text: String) -> io::Result<String> {
    let fresh = path.with_extension(format!("new-{}", secret::hint(&secret::new(""))));
    std::fs::write(&fresh, format!("{text}\n"))?;
    std::fs::rename(&fresh, path)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config {
            data_dir: dir.path().join("data"),
            ..Config::default()
        };
        assert_eq!(known_endpoint_id(&config).unwrap(), None);
        assert!(!config.data_dir.exists());
        let (endpoint, node) = (endpoint_id(&config).unwrap(), node_id(&config).unwrap());
        assert_eq!(known_endpoint_id(&config).unwrap(), Some(endpoint.clone()));
        assert_eq!(endpoint_id(&config).unwrap(), endpoint);
        assert_eq!(node_id(&config).unwrap(), node);
        assert!(endpoint.as_str().starts_with("self::headend-"));
    }

    #[test]
    fn a_configured_endpoint_id_is_checked() {
        let mut config = Config::default();
        config.usp.endpoint_id = Some("nonsense".into());
        assert!(
            endpoint_id(&config)
                .unwrap_err()
                .to_string()
                .contains("nonsense")
        );
    }
}
