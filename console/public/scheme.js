// Sets the colour scheme before the first paint, so that a dark console never flashes white.
(function () {
  var wanted = null;
  try {
    wanted = localStorage.getItem('headend.scheme');
  } catch (e) {
    // Storage can be forbidden; the system's scheme is then used.
  }
  if (wanted !== 'light' && wanted !== 'dark') {
    wanted = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  }
  document.documentElement.setAttribute('data-mantine-color-scheme', wanted);
})();
