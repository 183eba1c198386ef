# SPDX-License-Identifier: GPL-3.0-or-later
"""What strangers say that they should not, and the replies it must get: a table, used by
badinput.py.

A case begins in a state that a well-behaved client has reached; then its bytes go out, in one piece
or, as a list, each piece when the last one's replies have come; then the client says no more. The
replies to these bytes are compared, all of them: a reply too many is a command run that was none.
"""
import collections

EHLO = b'EHLO client.example.net\r\n'
LHLO = b'LHLO client.example.net\r\n'
MAIL = b'MAIL FROM:<bob@shop.example.net>\r\n'
RCPT = b'RCPT TO:<shop@relay.example.com>\r\n'
NEWS = b'RCPT TO:<news@relay.example.com>\r\n'
NOBODY = b'RCPT TO:<nobody@relay.example.com>\r\n'
DATA = b'DATA\r\n'

# What was said and answered before the case; "early" does not even wait for the banner.
STATES = {
    'early': [], 'banner': [], 'hello': [EHLO], 'mail': [EHLO, MAIL], 'rcpt': [EHLO, MAIL, RCPT],
    'data': [EHLO, MAIL, RCPT, DATA], 'lmtp banner': [], 'lmtp': [LHLO], 'lmtp mail': [LHLO, MAIL],
    'lmtp data': [LHLO, MAIL, RCPT, NEWS, DATA],
}

# wanted: see wire.matches(). arrives: how often the message of the case must reach the next hop.
Case = collections.namedtuple('Case', 'ident state sent wanted arrives')
Ending = collections.namedtuple('Ending', 'ident ending kind wanted')


def letter(ident, body=b'Hello.\r\n', extra=b''):
    """The message that a case sends, found again by its Message-ID."""
    return (b'From: Bob <bob@shop.example.net>\r\nTo: <shop@relay.example.com>\r\n'
            b'Subject: bad input\r\nMessage-ID: <%s@badinput.example>\r\n'
            b'Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n%s\r\n%s' % (ident.encode(), extra, body))


def case(ident, state, sent, wanted, arrives=0):
    return Case(ident, state, sent if isinstance(sent, list) else [sent], wanted, arrives)


def whole(ident):
    return letter(ident) + b'.\r\n'


# ---- ends of data and what only looks like one ----
#
# Behind each stands a smuggled transaction and the one true end. "stray": the whole is one message,
# refused for its line ends. "text": it is one message of good lines, and arrives. "end": the
# message ends there; wanted tells of the replies then.

ENDINGS = [
    Ending('eod01', b'\n.\n', 'stray', ''),
    Ending('eod02', b'\n.\r\n', 'stray', ''),
    Ending('eod03', b'\r.\r', 'stray', ''),
    Ending('eod04', b'\r.\r\n', 'stray', ''),
    Ending('eod05', b'\r\n.\n', 'stray', ''),
    Ending('eod06', b'\r\n.\r', 'stray', ''),
    Ending('eod07', b'\n.\r', 'stray', ''),
    Ending('eod08', b'\r.\n', 'stray', ''),
    Ending('eod09', b'\x00\r\n.\r\n', 'end', '550/5.6.0 250 250 354 250'),
    Ending('eod10', b'\r\n\x00.\r\n', 'stray', ''),
    Ending('eod11', b'\r\x00\n.\r\n', 'stray', ''),
    Ending('eod12', b'\r\n.\x00\r\n', 'stray', ''),
    Ending('eod13', b'\r\n.\r\x00\n', 'stray', ''),
    Ending('eod14', b'\r\n.\r\n\x00', 'end', '250 500 503 503'),
    Ending('eod15', b'\r\n.\r\r\n', 'stray', ''),
    Ending('eod16', b'\r\r\n.\r\r\n', 'stray', ''),
    Ending('eod17', b'\r\n .\r\n', 'text', ''),
    Ending('eod18', b'\r\n..\r\n', 'text', ''),
    Ending('lf, cr, dot', b'\n\r.\n\r', 'stray', ''),
    Ending('crlf, dot, lf lf', b'\r\n.\n\n', 'stray', ''),
    Ending('lf lf, dot, lf lf', b'\n\n.\n\n', 'stray', ''),
    Ending('crlf, dot, cr cr', b'\r\n.\r\r', 'stray', ''),
    Ending('crlf, lf, dot, crlf', b'\r\n\n.\r\n', 'stray', ''),
    Ending('crlf, dot, blank, crlf', b'\r\n. \r\n', 'text', ''),
    Ending('crlf, tab, dot, crlf', b'\r\n\t.\r\n', 'text', ''),
    Ending('next line (NEL)', b'\xc2\x85.\xc2\x85', 'text', ''),
    Ending('line separator', b'\xe2\x80\xa8.\xe2\x80\xa8', 'text', ''),
    Ending('vertical tab and form feed', b'\x0b.\x0c', 'text', ''),
    Ending('control Z', b'\r\n\x1a\r\n', 'text', ''),
    Ending('crlf, dot dot dot, crlf', b'\r\n...\r\n', 'text', ''),
    Ending('crlf, dot, delete, crlf', b'\r\n.\x7f\r\n', 'text', ''),
]


def smuggled(ident):
    """The transaction behind a look-alike end; its own end is the true one."""
    return (b'MAIL FROM:<evil@client.example.net>\r\n' + RCPT + DATA
            + letter('smuggled-' + ident.replace(' ', '-'), b'Smuggled.\r\n') + b'.\r\n')


# ---- commands ----

LONG = b'a' * 255

COMMANDS = [
    case('eod20', 'data', b'.\r\n', '250', 1),
    case('cr01', 'data', letter('cr01', extra=b'X-Odd: a\rBcc: x@y\r\n') + b'.\r\n', '550/5.6.0'),
    case('cr02', 'banner', b'EHLO a\nMAIL FROM:<a@b>\nRCPT TO:<c@d>\n', '500*3'),
    case('bare LF in a header', 'data', letter('h', extra=b'X-Odd: a\nBcc: x@y\r\n') + b'.\r\n',
         '550/5.6.0'),
    case('bare CR in a body', 'data', letter('b', b'a\rb\r\n') + b'.\r\n', '550/5.6.0'),
    case('three stray messages', 'hello', [MAIL, RCPT, DATA, b'\n\r\n.\r\n'] * 3,
         '250 250 354 550 250 250 354 550 250 250 354 550 421'),

    case('pipe01', 'early', EHLO + MAIL + RCPT, '554/5.5.0|220 250 250 250'),
    case('pipe02 no recipient', 'hello', MAIL + NOBODY + DATA + whole('pipe02n') + b'NOOP\r\n',
         '250 550 554'),
    case('pipe02 recipient', 'hello', MAIL + RCPT + DATA + whole('pipe02') + b'NOOP\r\n',
         '250 250 354 250 250', 1),
    case('pipe02 no sender', 'hello', RCPT + DATA + whole('pipe02s') + b'NOOP\r\n', '503 503'),
    case('pipe02 before HELO', 'banner', MAIL + RCPT + DATA + whole('pipe02h'), '503 503 503'),
    case('pipe03', 'mail', NOBODY + NOBODY + DATA, '550 550 554|550 550 503'),
    case('pipe03 in steps', 'mail', [NOBODY, DATA, whole('pipe03')], '550 554 554|550 503 554'),
    case('pipelined with EHLO', 'banner', EHLO + MAIL + RCPT + b'RSET\r\n', '250*4'),
    case('pipelined behind QUIT', 'hello', b'QUIT\r\n' + MAIL + RCPT, '221'),
    case('pipelined behind the end', 'data', whole('pipe-end') + MAIL + RCPT + b'RSET\r\n',
         '250*4', 1),

    case('tls04 recipient', 'mail', b'RCPT TO:<starttls@relay.example.com>\r\n', '550/5.1.1'),
    case('tls04 body', 'data', letter('tls04', b'starttls\r\nSTARTTLS\r\n') + b'.\r\n', '250', 1),
    case('STARTTLS in lower case with blanks', 'hello', b'starttls  \r\n', '220'),

    case('cmd01', 'banner', b'HELO\r\n', '501'),
    case('cmd02', 'banner', b'EHLO\r\nEHLO \r\nHELO    \r\n', '501*3'),
    case('cmd03', 'banner', b'HELO ' + b'a' * 600 + b'\r\n', '501|500'),
    case('cmd04', 'banner', b'EHLO \xff\xfe\r\n', '501|250'),
    case('cmd05', 'banner', b'EHLO a\x00b\r\n', '500'),
    case('cmd06', 'hello', b'MAIL FROM:<a@b.example> SIZE=99999999999999999999\r\n', '552'),
    case('cmd07', 'hello', b'MAIL FROM:<a@b.example> SIZE=-1\r\n', '501'),
    case('cmd08', 'hello', b'MAIL FROM:<a@b.example> BODY=BINARYMIME\r\n', '555|501'),
    case('cmd09', 'hello', b'MAIL FROM:<a@b.example> FOO=BAR\r\n', '555'),
    # SMTPUTF8 is offered here.
    case('cmd10', 'hello', b'MAIL FROM:<a@b.example> SMTPUTF8\r\n', '250'),
    case('cmd11', 'hello', b'MAIL FROM: <a@b.example>\r\nRCPT TO: <shop@relay.example.com>\r\n',
         '250 250|501 503'),
    case('cmd12', 'hello', b'MAIL FROM:a@b.example\r\nRCPT TO:c@d.example\r\n', '501 503'),
    case('cmd13', 'hello', b'MAIL FROM:<a>\r\n', '553|501'),
    case('cmd14', 'hello', b'MAIL FROM:<>\r\n', '250'),
    case('cmd15', 'hello', b'MAIL FROM:<@x.example,@y.example:a@b.example>\r\n', '250|501'),
    case('cmd16', 'hello', b'MAIL FROM:<"a b\\"c"@d.example>\r\n', '250'),
    case('cmd17', 'hello', b'MAIL FROM:<"a\r\nRCPT TO:<x@y.example>"@d>\r\n', '501 503'),
    case('cmd18', 'hello', b'MAIL FROM:<a@[127.0.0.1]>\r\nRSET\r\nMAIL FROM:<a@[IPv6:::1]>\r\n',
         '250*3|501 250 501'),
    case('cmd19', 'hello', b'MAIL FROM:<f\xc3\xb6@b.example>\r\n', '550/5.6.7'),
    case('cmd20', 'hello', b'MAIL FROM:<f\xc3\xb6@b.example> SMTPUTF8\r\n', '250'),
    case('cmd21', 'hello', [b'MAIL FROM:<' + b'l' * n + b'@b.example>\r\n'
                            for n in (65, 255, 1000, 70000)], '501 501 501 500'),
    case('cmd22', 'mail', b''.join(b'RCPT TO:<%s>\r\n' % path for path in
                                   (b'', b'@', b'a@', b'@a', b'a@ ')), '501*5'),
    # Neither DSN nor AUTH is offered, nor, further down, CHUNKING.
    case('cmd23', 'mail', RCPT[:-2] + b' NOTIFY=NEVER,SUCCESS\r\n', '501'),
    case('cmd24', 'mail', RCPT[:-2] + b' ORCPT=rfc822;a+0Ab\r\n', '501'),
    case('cmd25', 'hello', MAIL[:-2] + b' AUTH=a+0Ab\r\n', '501'),
    case('cmd26', 'mail', RCPT[:-2] + b' ORCPT=rfc822;' + b'a' * 254 + b'+\r\n', '501'),
    case('cmd27', 'mail', [RCPT * 1001, DATA, whole('cmd27')], '250*100 452/4.5.3*901 354 250', 1),
    case('cmd28', 'hello', RCPT + MAIL + MAIL + b'DATA\r\n', '503 250 503 503'),
    case('cmd29', 'rcpt', b'DATA foo\r\n', '501'),
    case('cmd30', 'rcpt', b'BDAT 10\r\n', '502|500'),
    case('cmd31', 'hello', b'AUTH PLAIN AGEAYg==\r\nAUTH LOGIN\r\n', '502 502'),
    case('cmd32', 'hello', b'VRFY shop\r\nEXPN list\r\nETRN x.example\r\nTURN\r\n', '252 502*3'),
    case('cmd33', 'hello', b''.join(b'FOO%d\r\n' % i for i in range(30)), '500*19 421/4.7.0'),
    case('cmd34', 'hello', b'NOOP ' + b'x' * 65536 + b'\r\nNOOP\r\n', '500 250'),
    case('cmd35', 'banner', b'GET / HTTP/1.1\r\nHost: relay.example.com\r\n\r\n' + EHLO, '554|221'),
    case('cmd36', 'banner', b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n', '500'),
    case('cmd37', 'hello', b'XCLIENT ADDR=192.0.2.1\r\nXFORWARD ADDR=192.0.2.1\r\n', '500*2|550*2'),
    case('cmd38 QUIT', 'data', letter('cmd38') + b'QUIT\r\n', ''),
    case('cmd38 EOF', 'data', letter('cmd38') + b'.\r', ''),
    case('ten million bytes without line end', 'hello', b'x' * 10_000_000 + b'\r\nNOOP\r\n',
         '500 250'),
    case('NUL alone', 'hello', b'\x00\r\n', '500'),
    case('8-bit verb', 'hello', b'N\xc3\x96OP\r\n', '500'),
    case('tab behind the verb', 'hello', b'MAIL\tFROM:<a@b.example>\r\n', '500'),
    case('blank before the verb', 'hello', b' NOOP\r\n', '500'),
    case('many blanks', 'hello', b'MAIL    FROM:<a@b.example>   \r\n', '250'),
    case('no blank', 'hello', b'MAILFROM:<a@b.example>\r\n', '500'),
    case('blank before the colon', 'hello', b'MAIL FROM :<a@b.example>\r\n', '501'),
    case('empty lines', 'hello', b'\r\n\r\n', '500*2'),
    case('CR CR LF', 'hello', b'NOOP\r\r\nNOOP\r\n', '500 250'),
    case('LF alone between', 'hello', b'NOOP\n\r\nNOOP\r\n', '500 250'),
    case('a verb only', 'hello', b'MAIL\r\nRCPT\r\nMAIL FROM\r\nMAIL FROM:\r\n', '501 503 501 501'),
    case('SEND, SOML, SAML', 'hello', b'SEND FROM:<a@b.example>\r\nSOML FROM:<a@b.example>\r\n'
                                      b'SAML FROM:<a@b.example>\r\n', '500*3|502*3'),
    case('HELP', 'hello', b'HELP\r\nHELP MAIL\r\n', '214*2'),
    case('arguments where none belong', 'hello', b'RSET x\r\nQUIT x\r\nSTARTTLS x\r\n', '501*3'),
    case('NOOP with an argument', 'hello', b'NOOP x y\r\n', '250'),
    case('endless NOOP', 'hello', b'NOOP\r\n' * 150, '250*99 421|250*100 421'),
    case('endless RSET', 'hello', b'RSET\r\n' * 150, '250*99 421|250*100 421'),
    case('EHLO again ends the transaction', 'rcpt', EHLO + RCPT, '250 503'),
    case('RSET ends the transaction', 'rcpt', b'RSET\r\n' + RCPT, '250 503'),
    case('HELO then extensions', 'banner', b'HELO client\r\nMAIL FROM:<a@b.example> SIZE=9\r\n',
         '250 250|250 555'),
    case('HELO of an address literal', 'banner', b'EHLO [127.0.0.1]\r\nEHLO [IPv6:::1]\r\n',
         '250*2'),
    case('HELO of odd names', 'banner', b'EHLO -\r\nEHLO .\r\nEHLO a;b\r\nEHLO a"b\r\nEHLO <a>\r\n',
         '250*5'),
    case('HELO of two words', 'banner', b'EHLO a b\r\n', '501'),
    case('HELO with an escape sequence', 'banner', b'EHLO a\x1b[31m\r\n', '501'),
    case('HELO of 255 and 256 bytes', 'banner', b'EHLO ' + LONG + b'\r\nEHLO a' + LONG + b'\r\n',
         '250 501'),
    case('commands before HELO', 'banner', MAIL + RCPT + b'DATA\r\n', '503*3'),
    case('RSET, NOOP, VRFY before HELO', 'banner', b'RSET\r\nNOOP\r\nVRFY a\r\nQUIT\r\n',
         '250 250 252 221'),
    case('a TLS hello with line ends', 'banner', b'\x16\x03\x01\n\r\n', '500'),
    case('SSH', 'banner', b'SSH-2.0-OpenSSH_9.2\r\n', '500'),
    case('POST', 'banner', b'POST / HTTP/1.1\r\n\r\n' + EHLO + MAIL, '554'),
    case('lower case GET', 'banner', b'get / HTTP/1.1\r\n', '554'),

    case('SIZE twice', 'hello', b'MAIL FROM:<a@b.example> SIZE=1 SIZE=2\r\n', '501'),
    case('SIZE without a value', 'hello', b'MAIL FROM:<a@b.example> SIZE\r\n'
                                          b'MAIL FROM:<a@b.example> SIZE=\r\n', '501*2'),
    case('SIZE of words, signs, hex', 'hello', b''.join(
        b'MAIL FROM:<a@b.example> SIZE=%s\r\n' % v for v in (b'big', b'+5', b'0x5', b'5k', b'5.0')),
        '501*5'),
    case('SIZE of 21 digits', 'hello', b'MAIL FROM:<a@b.example> SIZE=999999999999999999999\r\n',
         '501|552'),
    case('SIZE over the limit', 'hello', b'MAIL FROM:<a@b.example> SIZE=2000000000\r\n',
         '552/5.3.4'),
    case('SIZE of 0', 'hello', b'MAIL FROM:<a@b.example> SIZE=0\r\n', '250'),
    case('BODY of every kind', 'hello', b''.join(
        b'MAIL FROM:<a@b.example> BODY%s\r\nRSET\r\n' % v for v in (b'=7BIT', b'=8BITMIME',
        b'=7bit')),
        '250*6'),
    case('BODY wrong', 'hello', b''.join(
        b'MAIL FROM:<a@b.example> BODY%s\r\n' % v for v in (b'', b'=', b'=8BIT',
        b'=7BIT,8BITMIME')),
        '501*4'),
    case('BODY twice', 'hello', b'MAIL FROM:<a@b.example> BODY=7BIT BODY=8BITMIME\r\n', '501'),
    case('SMTPUTF8 with a value', 'hello', b'MAIL FROM:<a@b.example> SMTPUTF8=1\r\n', '501'),
    case('SMTPUTF8 twice', 'hello', b'MAIL FROM:<a@b.example> SMTPUTF8 SMTPUTF8\r\n', '501'),
    case('SMTPUTF8 on RCPT', 'mail', RCPT[:-2] + b' SMTPUTF8\r\n', '555'),
    case('MAIL parameters on RCPT', 'mail',
         RCPT[:-2] + b' SIZE=3\r\n' + RCPT[:-2] + b' BODY=7BIT\r\n',
         '555*2'),
    case('RCPT parameters on MAIL', 'hello', MAIL[:-2] + b' NOTIFY=NEVER\r\n', '555|501'),
    case('RET, ENVID', 'hello', MAIL[:-2] + b' RET=HDRS\r\n' + MAIL[:-2] + b' ENVID=QQ\r\n',
         '501*2'),
    case('extensions nobody offers', 'hello', b''.join(
        MAIL[:-2] + v + b'\r\n' for v in (b' HOLDFOR=5', b' BY=5;R', b' MT-PRIORITY=3',
        b' REQUIRETLS',
                                          b' CONPERM', b' TRANSID=<a@b>', b' MTRK=x')), '555*7'),
    case('hundred parameters', 'hello', MAIL[:-2] + b' A=B' * 100 + b'\r\n', '555'),
    case('a parameter of junk', 'hello', MAIL[:-2] + b' =\r\n' + MAIL[:-2] + b' ==\r\n'
         + MAIL[:-2] + b' \xff=1\r\n', '555 555 501|501*3|555*3'),
    case('a tab before the parameter', 'hello', MAIL[:-2] + b'\tSIZE=3\r\n', '501'),
    case('text behind the path', 'hello', b'MAIL FROM:<a@b.example>x\r\n'
                                          b'MAIL FROM:<a@b.example>,<c@d.example>\r\n', '501*2'),
    case('brackets that do not match', 'hello',
         b'MAIL FROM:<a@b.example\r\nMAIL FROM:a@b.example>\r\n'
                                                b'MAIL FROM:<<a@b.example>>\r\nMAIL FROM:>a@b<\r\n',
         '501*4'),
    case('a display name in the path', 'hello', b'MAIL FROM:Bob <a@b.example>\r\n', '501'),
    case('a comment in the path', 'hello', b'MAIL FROM:<a(c)@b.example>\r\n', '501'),

    case('source routes', 'mail', b''.join(b'RCPT TO:<%s>\r\n' % p for p in (
        b'@x.example:shop@relay.example.com', b'@x,@y:shop@relay.example.com',
        b'@x.example shop@relay.example.com', b'x:shop@relay.example.com', b'@x.example:',
        b'@:shop@relay.example.com')), '250 250 501 501 501 501'),
    case('percent hack and bang path', 'mail',
         b'RCPT TO:<user%victim.example@relay.example.com>\r\n'
         b'RCPT TO:<victim.example!user@relay.example.com>\r\n', '550*2'),
    case('relaying to others', 'mail', b'RCPT TO:<user@victim.example>\r\n'
         b'RCPT TO:<user@[127.0.0.1]>\r\nRCPT TO:<"shop@victim.example"@relay.example.com>\r\n'
         b'RCPT TO:<shop@relay.example.com.victim.example>\r\n', '550*4'),
    case('quoted local parts', 'mail', b''.join(b'RCPT TO:<%s@relay.example.com>\r\n' % p for p in (
        b'"shop', b'shop"', b'"sh"op', b'"a\\"', b'""x')), '501*5'),
    case('control bytes in a local part', 'mail', b''.join(
        b'RCPT TO:<%s@relay.example.com>\r\n' % p for p in (
            b'a\x01b', b'"a\x01b"', b'"a\\\x01b"', b'a\x7fb', b'"a\tb"')), '501*5'),
    case('literals that are none', 'mail', b''.join(b'RCPT TO:<a@%s>\r\n' % p for p in (
        b'[]', b'[256.1.1.1]', b'[1.2.3]', b'[IPv6:]', b'[IPv6:::g]', b'[x:y]', b'[1.2.3.4', b'[')),
        '501*8'),
    case('domains that are none', 'mail', b''.join(b'RCPT TO:<a@%s>\r\n' % p for p in (
        b'.', b'.b', b'b..c', b'b.', b'b c', b'b/c', b'b,c', b'-b.example', b'b-.example')),
        '501*9'),
    case('a label and a domain too long', 'mail', b'RCPT TO:<a@' + b'l' * 64 + b'.example>\r\n'
         b'RCPT TO:<a@' + (b'l' * 60 + b'.') * 5 + b'example>\r\n', '501*2'),
    case('malformed UTF-8', 'hello', b''.join(
        b'MAIL FROM:<%s@b.example> SMTPUTF8\r\n' % p for p in (
            b'\xc3', b'\xc0\xaf', b'\xed\xa0\x80', b'\xf4\x90\x80\x80', b'\xff', b'\xc2\x85')),
        '501*6'),
    case('UTF-8 recipient without SMTPUTF8', 'mail', b'RCPT TO:<f\xc3\xb6@relay.example.com>\r\n',
         '550/5.6.7'),
    case('UTF-8 recipient', 'hello', [b'MAIL FROM:<a@b.example> SMTPUTF8\r\n',
                                      b'RCPT TO:<f\xc3\xb6@relay.example.com>\r\n'], '250 550'),
    case('recipient in other letters', 'mail', b'RCPT TO:<SHOP@RELAY.Example.COM>\r\n', '250'),
    case('reverse alias and return path', 'mail',
         b'RCPT TO:<r-abcdefghijklmnop@relay.example.com>\r\n'
         b'RCPT TO:<b-abcdefghijklmnopabcdefghijklmnopabcd@relay.example.com>\r\n', '550*2'),
    case('postmaster without a domain', 'mail', b'RCPT TO:<postmaster>\r\nRCPT TO:<PostMaster>\r\n',
         '450*2|451*2'),
    case('guessing recipients', 'mail', b''.join(b'RCPT TO:<guess%d@relay.example.com>\r\n' % i
                                                 for i in range(1010)), '550*1000 421'),
    case('the same recipient twice', 'mail', [RCPT, RCPT, DATA, whole('twice')],
         '250 250 354 250', 1),

    case('lmtp01', 'lmtp mail', [RCPT, NOBODY, NEWS, DATA, whole('lmtp01')],
         '250 550 250 354 250 250', 2),
    case('lmtp02', 'lmtp mail', NOBODY + NOBODY + DATA, '550 550 503'),
    case('lmtp02 and the body', 'lmtp mail', NOBODY + DATA + whole('lmtp02'), '550 503'),
    case('lmtp03', 'lmtp', b'HELO client\r\nEHLO client\r\n', '500*2'),
    case('lmtp03 in SMTP', 'hello', LHLO, '500'),
    case('LMTP before LHLO', 'lmtp banner', MAIL + RCPT + DATA, '503*3'),
    case('LHLO without a name', 'lmtp banner', b'LHLO\r\nLHLO \r\n', '501*2'),
    case('LMTP, the same recipient twice', 'lmtp mail', [RCPT, RCPT, DATA, whole('lmtp-twice')],
         '250 250 354 250 250', 1),
    # The queue before LMTP would bounce: what cannot be taken is dropped and counted.
    case('LMTP, bare LF', 'lmtp data', letter('lmtp-lf', b'a\nb\r\n') + b'.\r\n', '250*2'),
    case('LMTP, NUL', 'lmtp data', letter('lmtp-nul', b'a\x00b\r\n') + b'.\r\n', '250*2'),
    case('LMTP, two From', 'lmtp data', letter('lmtp-from', extra=b'From: x@y.example\r\n')
         + b'.\r\n', '250*2'),
    case('LMTP, hops', 'lmtp data', letter('lmtp-hops', extra=b'Received: by x; now\r\n' * 51)
         + b'.\r\n', '250*2'),
    case('LMTP, loop', 'lmtp data', letter('lmtp-loop',
         extra=b'Sealrelay-Loop: relay.example.com\r\n'
                                           * 6) + b'.\r\n', '250*2'),
    case('LMTP, EOF in the body', 'lmtp data', letter('lmtp-eof'), ''),
    case('LMTP, null sender', 'lmtp', [b'MAIL FROM:<>\r\n', RCPT, DATA, whole('lmtp-null')],
         '250 250 354 250', 1),
]
