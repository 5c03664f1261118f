//! What is in `deploy/`: manifests, chart, image, unit. No root, no cluster; where Kubernetes' programs are there (`cargo xtask setup`), a
//! real API server is asked as well.

#[expect(dead_code, reason = "the tests of `api` stop it and read its audit log")]
#[path = "../common/api_server.rs"]
mod api_server;
#[expect(dead_code, reason = "the tests of `api` ask more")]
#[path = "../common/kubectl.rs"]
mod kubectl;
#[path = "../common/ports.rs"]
mod ports;

mod accepted;
mod agent;
mod chart;
mod files;
mod monitor;
mod overlay;
mod permissions;
mod rendered;
mod same;
mod unit;
mod values;
