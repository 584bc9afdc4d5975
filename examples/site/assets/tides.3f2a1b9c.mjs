const tides = await (await fetch('data/tides.json')).json();
for (const { day, high } of tides) document.querySelector('#tides').insertRow().innerHTML = `<th>${day}<td>${high.join(' · ')}`;
