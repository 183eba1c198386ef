# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Thunderbird without a screen, driven through Marionette: it is handed messages, tells what it
shows of them and how it judges them, and writes signed and encrypted replies.

The profile is private and made before the start: the root trusted for mail and nothing else, the
user's PKCS#12 imported, one account whose folder is local and which sends through a given SMTP port.
What Thunderbird says of a message comes from the window that a person would look at.
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import judge

PROGRAM = '/usr/lib/thunderbird/thunderbird'

# One account, kept in local folders; nothing is fetched, asked, reported or updated.
PREFS = {
    'mail.accountmanager.accounts': 'account1',
    'mail.accountmanager.defaultaccount': 'account1',
    'mail.accountmanager.localfoldersserver': 'server1',
    'mail.account.account1.server': 'server1',
    'mail.account.account1.identities': 'id1',
    'mail.server.server1.type': 'none',
    'mail.server.server1.hostname': 'Local Folders',
    'mail.server.server1.name': 'Local Folders',
    'mail.server.server1.userName': 'nobody',
    'mail.server.server1.directory-rel': '[ProfD]Mail/Local Folders',
    'mail.identity.id1.valid': True,
    'mail.identity.id1.fcc': False,
    'mail.identity.id1.compose_html': False,
    'mail.identity.id1.sign_mail': True,
    'mail.identity.id1.smtpServer': 'smtp1',
    'mail.smtpservers': 'smtp1',
    'mail.smtp.defaultserver': 'smtp1',
    'mail.smtpserver.smtp1.hostname': '127.0.0.1',
    'mail.smtpserver.smtp1.authMethod': 1,
    'mail.smtpserver.smtp1.try_ssl': 0,
    'mail.compose.add_link_preview': False,
    'mail.shell.checkDefaultClient': False,
    'mail.spotlight.firstRunDone': True,
    'mail.inappnotifications.enabled': False,
    'mail.rights.version': 1,
    'mail.ui-rdf.version': 99,
    'mailnews.start_page.enabled': False,
    'mailnews.start_page_override.mstone': 'ignore',
    'mail.warn_on_send_accel_key': False,
    'app.update.auto': False,
    'extensions.update.enabled': False,
    'datareporting.policy.dataSubmissionEnabled': False,
    'toolkit.telemetry.enabled': False,
    'network.captive-portal-service.enabled': False,
    'network.connectivity-service.enabled': False,
    'network.dns.disabled': True,
    'security.OCSP.enabled': 0,
    'marionette.port': 0,
}

# What every script may call.
COMMON = r'''
const {MailServices} = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const {MailUtils} = ChromeUtils.importESModule("resource:///modules/MailUtils.sys.mjs");
const {setTimeout} = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
const sleep = ms => new Promise(done => setTimeout(done, ms));
async function until(what, condition, seconds = 40) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = condition();
    if (found) return found;
    if (Date.now() > end) throw new Error("not within " + seconds + " s: " + what);
    await sleep(25);
  }
}
function named(value) {
  const codes = Ci.nsICMSMessageErrors;
  return Object.keys(codes).find(name => codes[name] === value) || String(value);
}
function folder() {
  const root = MailServices.accounts.localFoldersServer.rootFolder;
  if (!root.containsChildNamed("Arrived")) root.createSubfolder("Arrived", null);
  return root.getChildNamed("Arrived").QueryInterface(Ci.nsIMsgLocalMailFolder);
}
function find(id) {
  return folder().msgDatabase.getMsgHdrForMessageID(id);
}
// A dialog that waits for a person: it is closed, and what it says is the answer.
function question() {
  for (const window of Services.wm.getEnumerator(null)) {
    if (!window.location.href.endsWith("/commonDialog.xhtml") || !window.args?.text) continue;
    const {text} = window.args;
    window.close();
    return text;
  }
  return null;
}
function identity() {
  return MailServices.accounts.getAccount("account1").defaultIdentity;
}
// The certificates are looked up a while after the recipients are known.
function looked_up(window) {
  return !window.gSMPendingCertLookupSet?.size;
}
async function composer() {
  return until("the composer", () => {
    const one = Services.wm.getMostRecentWindow("msgcompose");
    return one?.gMsgCompose?.editor && one.composeEditorReady !== false && one;
  });
}
function chosen(window) {
  return {
    encrypted: window.gSendEncrypted,
    signed: window.gSendSigned,
    smime: !window.gSelectedTechnologyIsPGP,
    recipients: [window.gMsgCompose.compFields.to, window.gMsgCompose.compFields.cc],
    missing: [...(window.gEmailsWithMissingCerts || [])],
  };
}
// A click on Send; what the person is told when nothing is sent.
async function send(window) {
  let sent = null, trouble = null;
  const observer = {observe(subject, topic, data) { sent = data; }};
  Services.obs.addObserver(observer, "mail:composeSendSucceeded");
  window.addEventListener("compose-prepare-message-completed", event => {
    if (event.detail?.exception) trouble = String(event.detail.exception);
  });
  try {
    window.goDoCommand("cmd_sendNow");
    await until("the message is sent", () => sent !== null || (trouble ??= question()), 60);
  } finally {
    Services.obs.removeObserver(observer, "mail:composeSendSucceeded");
  }
  if (!trouble) return {id: sent.replace(/^<|>$/g, "")};
  await sleep(200);
  window.SetContentAndBodyAsUnmodified();
  window.close();
  return {refused: trouble};
}
'''

# The user's certificate is the one that has a key; it signs and it opens.
SETTLE = r'''
const [mailbox] = arguments;
const db = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
const own = db.getCerts().find(cert => (cert.certType & Ci.nsIX509Cert.USER_CERT) &&
                               cert.getEmailAddresses().includes(mailbox));
if (!own) throw new Error("no certificate with a key for " + mailbox);
for (const use of ["signing", "encryption"]) {
  identity().setUnicharAttribute(use + "_cert_name", own.displayName);
  identity().setUnicharAttribute(use + "_cert_dbkey", own.dbKey);
}
return Services.appinfo.version;
'''

SHOW = r'''
const [source, patience] = arguments;
const before = new Set([...folder().messages].map(one => one.messageKey));
folder().addMessage(source);
const header = [...folder().messages].find(one => !before.has(one.messageKey));
const uri = header.folder.getUriForMsg(header);
let window = Services.wm.getMostRecentWindow("mail:messageWindow");
if (!window) {
  window = MailUtils.openMessageInNewWindow(header);
} else {
  const pane = window.messageBrowser.contentWindow;
  pane.gSmimeMsgLoadedFired = pane.gSmimeProcessedDispatched = pane.msgLoaded = false;
  window.displayMessage(header);
}
const shown = await until("the window", () => {
  const pane = window.messageBrowser?.contentWindow;
  return pane?.msgLoaded && pane.gSmimeMsgLoadedFired && pane.gMessageURI == uri && pane;
});
// Signatures are checked aside. What has none never reports: it has some seconds to do so.
const end = Date.now() + patience * 1000;
while ((shown.gSignatureStatus == -1 || !shown.gSmimeProcessedDispatched) && Date.now() < end)
  await sleep(25);
const page = await until("the body", () => {
  const one = shown.getMessagePaneBrowser().contentDocument;
  return one?.readyState == "complete" && one.body && one.location.href != "about:blank" && one;
});
const images = [...page.querySelectorAll("img")].filter(image => image.src != "");
const till = Date.now() + 2000;
while (images.some(image => !image.complete) && Date.now() < till) await sleep(25);
return {
  id: header.messageId,
  encryption: named(shown.gEncryptionStatus),
  signature: named(shown.gSignatureStatus),
  signers: shown.gSignerCert ? shown.gSignerCert.getEmailAddresses() : [],
  author: header.mime2DecodedAuthor,
  subject: header.mime2DecodedSubject,
  recipients: header.mime2DecodedRecipients,
  copies: header.ccList,
  text: page.body.innerText || page.body.textContent,
  images: images.map(image => image.naturalWidth),
  attachments: shown.currentAttachments.map(one => one.name),
  parent: header.numReferences ? header.getStringReference(header.numReferences - 1) : "",
  thread: header.threadId,
};
'''

REPLY = r'''
const [id, text, all, sign] = arguments;
const header = find(id);
const kind = all ? Ci.nsIMsgCompType.ReplyAll : Ci.nsIMsgCompType.ReplyToSender;
MailServices.compose.OpenComposeWindow(null, header, header.folder.getUriForMsg(header), kind,
  Ci.nsIMsgCompFormat.Default, identity(), null, null);
const window = await composer();
await until("the quoted text", () =>
  window.gMsgCompose.editor.document.body.textContent.includes("wrote:"));
await until("encryption", () => window.gSendEncrypted && looked_up(window));
await sleep(300);
const state = chosen(window);
window.gMsgCompose.editor.insertText(text);
if (!sign) window.toggleGlobalSignMessage();
return {...state, ...await send(window)};
'''

WRITE = r'''
const [to, subject, text, encrypt] = arguments;
const fields = Cc["@mozilla.org/messengercompose/composefields;1"]
  .createInstance(Ci.nsIMsgCompFields);
const params = Cc["@mozilla.org/messengercompose/composeparams;1"]
  .createInstance(Ci.nsIMsgComposeParams);
[fields.to, fields.subject, fields.body] = [to, subject, text];
[params.composeFields, params.identity] = [fields, identity()];
params.type = Ci.nsIMsgCompType.New;
params.format = Ci.nsIMsgCompFormat.PlainText;
MailServices.compose.OpenComposeWindowWithParams(null, params);
const window = await composer();
await until("the recipient", () => window.gMsgCompose.compFields.to && looked_up(window));
if (window.gSendEncrypted != encrypt) window.toggleEncryptMessage();
if (!window.gSendSigned) window.toggleGlobalSignMessage();
await until("the certificates", () => looked_up(window));
await sleep(300);
return {...chosen(window), ...await send(window)};
'''

WINDOWS = r'''
return [...Services.wm.getEnumerator(null)].map(window =>
  [window.document.title, window.args?.text || ""]);
'''


class Trouble(Exception):
    """What Thunderbird answered when it could not do what was asked."""


class Marionette:
    """Scripts with all of Thunderbird's rights, one after the other."""

    def __init__(self, port, seconds):
        self.sock = socket.create_connection(('127.0.0.1', port), timeout=seconds)
        self.file = self.sock.makefile('rb')
        self.number = 0
        self.read()
        self.command('WebDriver:NewSession', {'timeouts': {'script': seconds * 1000}})
        self.command('Marionette:SetContext', {'value': 'chrome'})

    def read(self):
        size = b''
        while not size.endswith(b':'):
            byte = self.file.read(1)
            if not byte:
                raise Trouble('Thunderbird closed the connection')
            size += byte
        return json.loads(self.file.read(int(size[:-1])))

    def command(self, name, parameters):
        self.number += 1
        data = json.dumps([0, self.number, name, parameters]).encode()
        self.sock.sendall(b'%d:%s' % (len(data), data))
        _, _, error, result = self.read()
        if error:
            raise Trouble('%s: %s' % (error.get('error'), error.get('message')))
        return result

    def script(self, body, *arguments):
        """What an async function with this body returns."""
        text = ('const finish = arguments[arguments.length - 1];\n'
                'const given = Array.prototype.slice.call(arguments, 0, -1);\n' + COMMON +
                '(async function () {\n' + body + '\n}).apply(null, given).then('
                'value => finish({value}), '
                'error => finish({error: String(error) + "\\n" + (error && error.stack)}));')
        answer = self.command('WebDriver:ExecuteAsyncScript',
                              {'script': text, 'args': list(arguments), 'newSandbox': True,
                               'sandbox': 'system'})['value']
        if 'error' in answer:
            raise Trouble(answer['error'])
        return answer.get('value')


class Thunderbird:
    """One process, for as many messages as there are."""

    def __init__(self, user, mailbox, name, smtp_port, seconds=90):
        """user: a judge.User, whose root and PKCS#12 are imported; mailbox, name: the identity"""
        self.folder = tempfile.mkdtemp(prefix='sealrelay-thunderbird.')
        self.profile = os.path.join(self.folder, 'profile')
        os.mkdir(self.profile)
        self.process = None
        try:
            self.import_keys(user)
            self.write_prefs(mailbox, name, smtp_port)
            self.start(seconds)
            self.version = self.marionette.script(SETTLE, mailbox)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.close()

    def import_keys(self, user):
        database = 'sql:' + self.profile
        judge.run(['certutil', '-N', '-d', database, '--empty-password'])
        judge.run(['certutil', '-A', '-d', database, '-n', 'root', '-t', ',C,', '-i', user.root])
        judge.run(['pk12util', '-d', database, '-i', user.p12, '-W', user.passphrase])

    def write_prefs(self, mailbox, name, smtp_port):
        prefs = {**PREFS, 'mail.identity.id1.useremail': mailbox,
                 'mail.identity.id1.fullName': name, 'mail.smtpserver.smtp1.port': smtp_port}
        with open(os.path.join(self.profile, 'user.js'), 'w', encoding='utf-8') as out:
            for key, value in prefs.items():
                out.write('user_pref(%s, %s);\n' % (json.dumps(key), json.dumps(value)))

    def start(self, seconds):
        port_file = os.path.join(self.profile, 'MarionetteActivePort')
        self.log = open(os.path.join(self.folder, 'log'), 'w+b')
        self.process = subprocess.Popen(
            [PROGRAM, '--headless', '--marionette', '--remote-allow-system-access', '--no-remote',
             '--profile', self.profile], stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=self.log, start_new_session=True,
            env={**os.environ, 'HOME': self.folder, 'MOZ_HEADLESS': '1', 'TZ': 'UTC',
                 'LC_ALL': 'C.UTF-8'})
        end = time.monotonic() + seconds
        while not os.path.exists(port_file):
            if self.process.poll() is not None or time.monotonic() > end:
                raise Trouble('Thunderbird did not start:\n' + self.tail())
            time.sleep(0.1)
        with open(port_file, encoding='ascii') as file:
            self.marionette = Marionette(int(file.read()), seconds)
        self.marionette.script(
            'await until("the main window", () => '
            'Services.wm.getMostRecentWindow("mail:3pane")?.document.readyState == "complete");')

    def tail(self):
        self.log.seek(0)
        return self.log.read().decode('utf-8', 'replace')[-2000:]

    def ask(self, body, *arguments):
        try:
            return self.marionette.script(body, *arguments)
        except Trouble as trouble:
            raise Trouble('%s\nwindows: %s' % (trouble, self.windows())) from trouble

    def windows(self):
        try:
            return self.marionette.script(WINDOWS)
        except (Trouble, OSError) as trouble:
            return str(trouble)

    def show(self, data, patience=15):
        """Put a message (bytes) into the folder, open it, and tell what its window shows. Signature
        -1: none was found within patience seconds."""
        source = data.replace(b'\r\n', b'\n').decode('latin-1')
        return self.ask(SHOW, source, patience)

    def reply(self, message_id, text, everybody=False, sign=True):
        """Answer a message that was shown. sign: False switches the signature off. Returns what the
        composer had chosen by itself, and `id`, the Message-ID of what was sent, or `refused`, what
        the person is told instead."""
        return self.ask(REPLY, message_id, text, everybody, sign)

    def write(self, to, subject, text, encrypt=True):
        """A new message, signed. Returns the same."""
        return self.ask(WRITE, to, subject, text, encrypt)

    def close(self):
        if self.process:
            try:
                os.killpg(self.process.pid, signal.SIGTERM)
                self.process.wait(10)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
            self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
