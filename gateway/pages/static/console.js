// The first page: a token is pasted once, kept for this tab only (sessionStorage), and shown as a header or a subprotocol, never in an address.
'use strict';
const KEY = 'dialplane-token';
const by = id => document.getElementById(id);
const token = () => sessionStorage.getItem(KEY) || '';
let socket = null;

function show(text) {
    by('shown').hidden = false;
    by('shown').textContent = text;
}

// What a token says of itself; whether it is good, the services decide.
function claims(text) {
    try {
        const part = text.split('.')[1].replace(/-/g, '+').replace(/_/g, '/');
        return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(part), c => c.charCodeAt(0))));
    } catch (error) {
        return null;
    }
}

function refresh() {
    const said = claims(token());
    by('forget').hidden = !token();
    by('authorized').textContent = !token() ? '' : !said ? 'a token is set'
        : `${said.sub}: ${[].concat(said.roles || said.role || []).join(', ')}, until ${new Date(said.exp * 1000).toLocaleString()}`;
}

async function get(path) {
    show('…');
    try {
        const answer = await fetch(path, {headers: token() ? {Authorization: `Bearer ${token()}`} : {}, cache: 'no-store'});
        show(`${answer.status}\n${JSON.stringify(await answer.json(), null, 2)}`);
    } catch (error) {
        show(String(error));
    }
}

function watch(call) {
    const lines = [];
    const address = new URL(`/api/analytics/ws/calls/${encodeURIComponent(call)}`, location.href);
    address.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
    if (socket)
        socket.close();
    const mine = socket = token() ? new WebSocket(address, ['bearer', token()]) : new WebSocket(address);
    const add = line => { lines.push(line); if (mine === socket) show(lines.slice(-200).join('\n')); };
    mine.onmessage = message => add(message.data);
    mine.onclose = event => add(`closed ${event.code} ${event.reason}`);
}

by('authorize').addEventListener('submit', event => {
    event.preventDefault();
    sessionStorage.setItem(KEY, by('token').value.trim().replace(/^bearer /i, ''));
    by('token').value = '';
    refresh();
});
by('forget').addEventListener('click', () => { sessionStorage.removeItem(KEY); refresh(); });
by('watch').addEventListener('submit', event => { event.preventDefault(); watch(by('call').value.trim()); });
for (const link of document.querySelectorAll('a.api'))
    link.addEventListener('click', event => { event.preventDefault(); get(link.getAttribute('href')); });
refresh();
