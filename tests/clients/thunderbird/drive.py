"""Drives a headless Thunderbird with a fresh profile.

    drive.py DIRECTORY

Reads one JSON command a line from standard input and answers with one JSON line:

    {"do": "trust", "root": PATH, "issuing": PATH}
    {"do": "import", "file": PATH, "password": TEXT}   PKCS#12; answers {"error": 0} if taken
    {"do": "learn", "file": PATH}                      another person's certificate
    {"do": "look_up", "url": LDAP_URL, "address": ADDRESS}
                                                       its certificates in a directory, as the compose window does it
    {"do": "verify", "file": PATH}                     error codes for signing and receiving
    {"do": "open", "file": PATH}                       the icons and text that a reader sees
    {"do": "send", "from": ADDRESS, "to": ADDRESS, "sign": BOOL, "encrypt": BOOL, "body": TEXT}
                                                       queues a mail; answers {"message": TEXT}
    {"do": "quit"}
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

from marionette_driver.errors import MarionetteException
from marionette_driver.marionette import Alert, Marionette

HERE = pathlib.Path(__file__).resolve().parent
START = 60


def start(directory):
    profile, home = directory / "profile", directory / "home"
    for path in (profile, home):
        path.mkdir(parents=True)
    shutil.copy(HERE / "user.js", profile / "user.js")
    environment = {**os.environ, "HOME": str(home), "MOZ_HEADLESS": "1"}
    environment.pop("DISPLAY", None)
    log = open(directory / "thunderbird.log", "wb")
    process = subprocess.Popen(
        ["thunderbird", "--headless", "--marionette", "--remote-allow-system-access", "--no-remote",
         "-profile", str(profile)],
        env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
    )
    # Port 0 in user.js: Thunderbird chooses, and writes down what it got.
    chosen = profile / "MarionetteActivePort"
    deadline = time.time() + START
    while not (chosen.exists() and chosen.read_text().strip()):
        if process.poll() is not None or time.time() > deadline:
            process.kill()
            sys.exit(f"Thunderbird did not start; see {directory / 'thunderbird.log'}")
        time.sleep(0.2)
    driver = Marionette(host="127.0.0.1", port=int(chosen.read_text()))
    # A message to the user is an answer, too: see act().
    driver.start_session({"unhandledPromptBehavior": "ignore"})
    driver.set_context("chrome")
    driver.timeout.script = 120
    return process, driver


PRELUDE = r"""
const [input, done] = arguments;
const db = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
// A status that was right a moment ago is not what a test asks for.
db.clearOCSPCache();
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const win = Services.wm.getMostRecentWindow("mail:3pane");
const sleep = t => new Promise(r => win.setTimeout(r, t));
const base64 = async path => (await IOUtils.readUTF8(path)).replace(/-----[^-]*-----/g, "").replace(/\s/g, "");
function localServer() {
  try { return MailServices.accounts.localFoldersServer; } catch (e) {}
  MailServices.accounts.createLocalMailAccount();
  return MailServices.accounts.localFoldersServer;
}
function localFolder(name) {
  const root = localServer().rootFolder;
  let folder = null;
  try { folder = root.getChildNamed(name); } catch (e) {}
  folder ||= root.QueryInterface(Ci.nsIMsgLocalMailFolder).createLocalSubfolder(name);
  return folder.QueryInterface(Ci.nsIMsgLocalMailFolder);
}
(async () => { try { done(await (async () => {
"""

ACTIONS = {
    "trust": r"""
  db.addCertFromBase64(await base64(input.root), "CT,CT,CT");
  db.addCertFromBase64(await base64(input.issuing), ",,");
  return {};
""",
    "import": r"""
  const file = Cc["@mozilla.org/file/local;1"].createInstance(Ci.nsIFile);
  file.initWithPath(input.file);
  return { error: db.importPKCS12File(file, input.password) };
""",
    "learn": r"""
  db.addCertFromBase64(await base64(input.file), ",,");
  return {};
""",
    # The program of the compose window's own dialog, which closes when the search is over.
    "look_up": r"""
  Services.prefs.setCharPref("ldap_2.servers.staff.uri", input.url);
  const dialog = win.openDialog("chrome://messenger-smime/content/certFetchingStatus.xhtml", "",
    "chrome,resizable=1,dialog=1", "ldap_2.servers.staff", [input.address]);
  for (let turn = 0; turn < 300 && !dialog.closed; turn++) await sleep(100);
  if (!dialog.closed) throw new Error("the dialog is still open");
  return {};
""",
    "verify": r"""
  const certificate = db.constructX509FromBase64(await base64(input.file));
  const verdict = usage => new Promise(resolve => db.asyncVerifyCertAtTime(
    certificate, usage, 0, "", Date.now() / 1000, [], { verifyCertFinished(error) { resolve(error); } }));
  return { signer: await verdict(db.verifyUsageEmailSigner), recipient: await verdict(db.verifyUsageEmailRecipient) };
""",
    "open": r"""
  const folder = localFolder("test");
  const header = folder.addMessage("From - Mon Nov 23 04:00:00 2026\r\nX-Mozilla-Status: 0001\r\n" + input.raw + "\r\n");
  const view = win.openDialog("chrome://messenger/content/messageWindow.xhtml", "_blank",
    "all,chrome,dialog=no,status,toolbar", header);
  const icon = element => (!element || element.hidden) ? "" : (element.src || "").split("/").pop().replace(".svg", "");
  let seen = {};
  for (let turn = 0; turn < 60; turn++) {
    await sleep(250);
    try {
      const page = view.document.getElementById("messageBrowser").contentDocument;
      seen = {
        signed: icon(page.getElementById("signedHdrIcon")),
        encrypted: icon(page.getElementById("encryptedHdrIcon")),
        body: page.getElementById("messagepane").contentDocument?.body?.textContent?.trim() || "",
      };
      // The icons come after the text, and the signature's last of all.
      const settled = !input.wait_for || seen[input.wait_for];
      if (turn > 8 && seen.body && settled && !/unknown|verifying/.test(seen.signed)) break;
    } catch (e) { seen.waiting = "" + e; }
  }
  view.close();
  return seen;
""",
    "send": r"""
  let account = MailServices.accounts.accounts.find(a => a.defaultIdentity?.email == input.from);
  if (!account) {
    localServer();
    const identity = MailServices.accounts.createIdentity();
    identity.email = input.from;
    identity.fullName = "Tester";
    identity.composeHtml = false;
    const server = MailServices.accounts.createIncomingServer(input.from.split("@")[0], "mail.example.test", "pop3");
    const outgoing = MailServices.outgoingServer.createServer("smtp");
    outgoing.QueryInterface(Ci.nsISmtpServer).hostname = "mail.example.test";
    MailServices.outgoingServer.defaultServer = outgoing;
    identity.smtpServerKey = outgoing.key;
    account = MailServices.accounts.createAccount();
    account.incomingServer = server;
    account.addIdentity(identity);
  }
  const identity = account.defaultIdentity;
  const mine = db.getCerts().find(c => c.emailAddress == input.from && c.isUserCert !== false && c.tokenName);
  for (const kind of ["signing", "encryption"]) {
    identity.setUnicharAttribute(kind + "_cert_name", mine.displayName);
    identity.setCharAttribute(kind + "_cert_dbkey", mine.dbKey);
  }
  const secure = Cc["@mozilla.org/messengercompose/composesecure;1"].createInstance(Ci.nsIMsgComposeSecure);
  secure.signMessage = input.sign;
  secure.requireEncryptMessage = input.encrypt;
  if (input.encrypt) {
    // What the compose window does: look for a certificate that is valid now.
    for (const address of [input.to, input.from]) {
      const found = await new Promise(resolve =>
        secure.asyncFindCertByEmailAddr(address, { findCertDone(_, certificate) { resolve(certificate); } }));
      if (found) secure.cacheValidCertForEmail(address, found.dbKey);
    }
  }
  const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
  fields.from = input.from;
  fields.to = input.to;
  fields.subject = "from Thunderbird";
  fields.composeSecure = secure;
  const send = Cc["@mozilla.org/messengercompose/send;1"].createInstance(Ci.nsIMsgSend);
  const status = await new Promise(resolve => {
    const listener = {
      QueryInterface: ChromeUtils.generateQI(["nsIMsgSendListener", "nsIMsgCopyServiceListener"]),
      onStartSending() {}, onProgress() {}, onStatus() {}, onGetDraftFolderURI() {},
      onSendNotPerformed(id, code) { resolve("not performed " + code); },
      onTransportSecurityError(id, code) { resolve("security error " + code); },
      onStopSending(id, code, message) { if (code) resolve("stopped " + code + " " + message); },
      onStartCopy() {}, setMessageKey() {}, getMessageId() { return null; },
      onStopCopy(code) { resolve(code ? "copy " + code : ""); },
    };
    const made = send.createAndSendMessage(null, identity, account.key, fields, false, false,
      Ci.nsIMsgSend.nsMsgQueueForLater, null, "text/plain", input.body, win, null, listener, "", null, Ci.nsIMsgCompType.New);
    Promise.resolve(made).catch(e => resolve("thrown " + e));
    win.setTimeout(() => resolve("nothing happened for 30 s"), 30000);
  });
  if (status) return { error: status, certificate: mine?.displayName };
  const outbox = localServer().rootFolder.getChildNamed("Unsent Messages");
  const mails = (await IOUtils.readUTF8(outbox.filePath.path)).split(/^From - .*\r?\n/m);
  return { error: "", message: mails.pop() };
""",
}


def act(driver, command):
    kind = command["do"]
    if kind == "open":
        raw = open(command["file"], newline="").read()
        command = {**command, "raw": raw.replace("\r\n", "\n").replace("\n", "\r\n")}
    script = PRELUDE + ACTIONS[kind] + '})()); } catch (e) { done({ failed: e + " " + e.stack }); } })();'
    try:
        answer = driver.execute_async_script(script, script_args=[command], sandbox="system", new_sandbox=True)
    except MarionetteException as error:
        answer = {"failed": str(error)}
    try:
        alert = Alert(driver)
        answer = {"error": alert.text}
        alert.accept()
    except MarionetteException:
        pass
    return answer


def main():
    process, driver = start(pathlib.Path(sys.argv[1]).resolve())
    try:
        print(json.dumps({"version": driver.session_capabilities.get("browserVersion")}), flush=True)
        for line in sys.stdin:
            command = json.loads(line)
            if command["do"] == "quit":
                break
            print(json.dumps(act(driver, command)), flush=True)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


if __name__ == "__main__":
    main()
