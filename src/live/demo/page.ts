export const PAGE = `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>A render as it happens · Tollkeeper</title>
  <link rel="stylesheet" href="/live-demo/style.css">
</head>
<body>
  <header><h1>A render as it happens</h1><p id="state" role="status">not connected</p></header>
  <form id="login">
    <label>E-mail or user name <input name="identifier" autocomplete="username" required></label>
    <label>Password <input name="password" type="password" autocomplete="current-password" required></label>
    <button>Sign in</button>
  </form>
  <main id="main" hidden>
    <section>
      <p>Balance: <b id="balance">–</b> credits</p>
      <form id="make">
        <label>Name <input name="name" value="Live demo" required></label>
        <label>Frames <input name="frames" type="number" value="12" min="1" max="500" required></label>
        <button>Render with <code>simulate</code></button>
      </form>
      <h2>Tasks</h2>
      <ul id="tasks"></ul>
      <h2>Notices</h2>
      <ul id="notices"></ul>
    </section>
    <section id="task" hidden>
      <h2 id="title"></h2>
      <p><b id="status"></b> <progress id="progress" max="100" value="0"></progress> <span id="percent"></span></p>
      <p><button data-action="pause">Pause</button> <button data-action="resume">Resume</button> <button data-action="cancel">Cancel</button></p>
      <div id="frames"></div>
      <h3>Log</h3>
      <pre id="log"></pre>
    </section>
  </main>
  <p id="problem" role="alert"></p>
  <script src="/live-demo/script.js"></script>
</body>
</html>
`;

export const STYLE = `body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}
header{display:flex;justify-content:space-between;align-items:baseline}
main:not([hidden]){display:grid;grid-template-columns:22rem 1fr;gap:2rem}
label{display:block;margin:.5rem 0}input{padding:.35rem}button{padding:.35rem .9rem;cursor:pointer}
ul{padding:0;list-style:none}#tasks button{width:100%;text-align:left;margin-bottom:.25rem}
progress{width:20rem}#frames{display:flex;flex-wrap:wrap;gap:.4rem}#frames img{width:9rem;border:1px solid #ccc}
#log{max-height:18rem;overflow:auto;background:#f5f5f5;padding:.5rem}#problem{color:#b00020}
`;
