//! The few instructions that the Dockerfile of one static binary needs. Any other is an error, so that what docker builds and
//! what we write cannot drift apart.

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};

/// What an image holds and how it starts.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Dockerfile {
    /// (name in the context, path in the image).
    pub(super) copies: Vec<(String, String)>,
    /// The `config` of the image, as in the OCI image specification.
    pub(super) config: Map<String, Value>,
}

/// Reads one.
pub(super) fn parse(text: &str) -> Result<Dockerfile> {
    let mut file = Dockerfile::default();
    let mut from = None;
    for line in text.replace("\\\n", " ").lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (word, rest) = line.split_once(char::is_whitespace).with_context(|| format!("`{line}` has no argument"))?;
        let rest = rest.trim();
        match word {
            "FROM" => from = Some(rest.to_owned()),
            "COPY" => {
                let (name, path) = rest.split_once(' ').context("COPY takes a name and a path")?;
                file.copies.push((name.to_owned(), path.trim().to_owned()));
            }
            "USER" => drop(file.config.insert("User".into(), json!(rest))),
            "ENTRYPOINT" => drop(file.config.insert("Entrypoint".into(), words(rest)?)),
            "CMD" => drop(file.config.insert("Cmd".into(), words(rest)?)),
            "EXPOSE" => {
                let ports = object(&mut file.config, "ExposedPorts")?;
                ports.extend(rest.split_whitespace().map(|port| (format!("{port}/tcp"), json!({}))));
            }
            "LABEL" => {
                let (key, value) = rest.split_once('=').context("LABEL takes key=\"value\"")?;
                let value: String = serde_json::from_str(value).context("the value of a LABEL is in double quotes")?;
                object(&mut file.config, "Labels")?.insert(key.to_owned(), json!(value));
            }
            other => bail!("{other} is no instruction that this image needs"),
        }
    }
    if from.as_deref() != Some("scratch") {
        bail!("the image is made FROM scratch");
    }
    Ok(file)
}

fn words(json: &str) -> Result<Value> {
    let words: Vec<String> = serde_json::from_str(json).with_context(|| format!("{json} is no list of words"))?;
    Ok(json!(words))
}

fn object<'a>(config: &'a mut Map<String, Value>, key: &str) -> Result<&'a mut Map<String, Value>> {
    config.entry(key).or_insert_with(|| json!({})).as_object_mut().context("an object")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_instruction_is_a_part_of_the_configuration() {
        let text = "# a comment\nFROM scratch\nLABEL a.b=\"c \\\"d\\\"\"\nCOPY telltale /telltale\nUSER 0:0\nEXPOSE 1 2\n\
                    ENTRYPOINT [\"/telltale\"]\nCMD [\"agent\"]\n";
        let file = parse(text).unwrap();
        assert_eq!(file.copies, [("telltale".to_owned(), "/telltale".to_owned())]);
        assert_eq!(
            Value::Object(file.config),
            json!({"Labels": {"a.b": "c \"d\""}, "User": "0:0", "ExposedPorts": {"1/tcp": {}, "2/tcp": {}},
                   "Entrypoint": ["/telltale"], "Cmd": ["agent"]})
        );
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for text in ["FROM debian", "FROM scratch\nRUN make", "FROM scratch\nCMD agent", "COPY", ""] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_one_of_the_repository_is_understood() {
        let file = crate::image::dockerfile().unwrap();
        assert_eq!(file.config["Entrypoint"], json!([file.copies[0].1]));
        assert_eq!(file.config["User"], "0:0");
    }
}
